import CKeyturn
import Foundation
import Testing

@testable import Keyturn

let kind: UInt64 = 0x4b54_5445_5354_0001

/// A new directory for the length of a test.
func withDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("keyturn-\(UUID().uuidString)")
    .path
  try FileManager.default.createDirectory(
    atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
  defer { try? FileManager.default.removeItem(atPath: path) }
  return try body(path)
}

func open(_ path: String, user: String = "", isReader: Bool = false) -> Result<StoreDirectory, Fault> {
  withBytes(path + "\0") { path in
    withBytes(user + "\0") { user in
      let name = user.slice(from: 0, length: user.count - 1)
      return Result { () throws(Fault) in
        try StoreDirectory.open(
          path.slice(from: 0, length: path.count - 1), trusting: name, isReader: isReader)
      }
    }
  }
}

func name(_ issuer: String, _ ending: StaticString = ".test") throws -> StoreName {
  try withBytes(issuer) { StoreName(try IssuerDigest.of($0), ending) }
}

func write(_ text: String, _ directory: StoreDirectory, _ name: StoreName) throws {
  let file = try StoredFile.make(kind, count: text.utf8.count)
  withBytes(text) { _ = file.content.copy($0, at: 0) }
  try file.seal()
  try directory.write(name, file)
}

func read(_ directory: StoreDirectory, _ name: StoreName, atMost: Int = 1_000) -> Result<String, StoreFault> {
  do throws(StoreFault) {
    let file = try directory.read(name, kind, atMost: atMost)
    return .success(file.contentBytes.text)
  } catch { return .failure(error) }
}

extension StoreName {
  var text: String { read { String(cString: $0) } }
}

@Suite struct StoreDirectoryTests {
  @Test func whatIsWrittenIsRead() throws {
    try withDirectory { path in
      let directory = try open(path).get()
      defer { directory.close() }
      let name = try name("https://issuer.example")
      #expect(read(directory, name) == .failure(.absent))
      for text in ["first", "", "a longer one"] {
        try write(text, directory, name)
        #expect(read(directory, name) == .success(text))
      }
      #expect(read(directory, name, atMost: 11) == .failure(.tooLarge))
      #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [name.text])
    }
  }

  @Test func aNameIsTheIssuersHash() throws {
    #expect(
      try name("abc", ".keys").text == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.keys"
    )
    #expect(try name("abc", ".keys").with(".x").text.hasSuffix("15ad.x"))
    #expect(try name("../../etc/passwd").text.allSatisfy { $0.isHexDigit || ".test".contains($0) })
  }

  /// Cut off anywhere, or with any one octet changed.
  @Test func whatIsNotWholeIsRefused() throws {
    try withDirectory { path in
      let directory = try open(path).get()
      defer { directory.close() }
      let name = try name("https://issuer.example")
      let file = URL(fileURLWithPath: path).appendingPathComponent(name.text)
      try write("the content of it", directory, name)
      let whole = try Data(contentsOf: file)
      var tried = 0
      for place in 0..<whole.count {
        try whole.prefix(place).write(to: file)
        #expect(read(directory, name) == .failure(.damaged), "cut off at \(place)")
        var changed = whole
        changed[place] ^= 1 << (place % 8)
        try changed.write(to: file)
        #expect(read(directory, name) == .failure(.damaged), "changed at \(place)")
        tried += 2
      }
      #expect(tried == 2 * (17 + StoredFile.overhead))
      try (whole + [0]).write(to: file)
      #expect(read(directory, name) == .failure(.damaged))
      try whole.write(to: file)
      #expect(read(directory, name) == .success("the content of it"))
    }
  }

  @Test func onlyRegularFilesAreReadThatOthersCannotWrite() throws {
    try withDirectory { path in
      let directory = try open(path).get()
      defer { directory.close() }
      let (good, link) = (try name("good"), try name("link"))
      try write("good", directory, good)
      try FileManager.default.createSymbolicLink(
        atPath: path + "/" + link.text, withDestinationPath: good.text)
      #expect(read(directory, link) == .failure(.irregular))
      try FileManager.default.createDirectory(
        atPath: path + "/" + name("folder").text, withIntermediateDirectories: false)
      #expect(read(directory, try name("folder")) == .failure(.irregular))
      #expect(mkfifo(path + "/" + (try name("pipe").text), 0o644) == 0)
      #expect(read(directory, try name("pipe")) == .failure(.irregular))
      #expect(chmod(path + "/" + good.text, 0o664) == 0)
      #expect(read(directory, good) == .failure(.foreign))
      try write("replaces the link", directory, link)
      #expect(read(directory, link) == .success("replaces the link"))
    }
  }

  @Test func directoriesThatOthersCanWriteAreRefused() throws {
    try withDirectory { path in
      for mode: mode_t in [0o775, 0o757, 0o777] {
        #expect(chmod(path, mode) == 0)
        #expect(sentence(open(path)) == "Its group, or everybody, may write in it.")
      }
      #expect(sentence(open(path + "/none")) == "There is no such directory, or it cannot be opened.")
      let file = path + "/file"
      #expect(FileManager.default.createFile(atPath: file, contents: nil))
      #expect(sentence(open(file)) == "There is no such directory, or it cannot be opened.")
      #expect(sentence(open(path, user: "nobody of that name")) == "There is no user of this name or number.")
      #expect(chmod(path, 0o755) == 0)
      for user in ["root", "0", "4000000000"] { try open(path, user: user).get().close() }
    }
  }

  /// Of a writer that is no more; one that still writes holds the lock of its file.
  @Test func whatWasLeftHalfDoneGoesAtTheNextOpening() throws {
    try withDirectory { path in
      let (left, written) = (path + "/left.0.new", path + "/written.0.new")
      #expect(FileManager.default.createFile(atPath: left, contents: nil))
      #expect(FileManager.default.createFile(atPath: written, contents: nil))
      #expect(FileManager.default.createFile(atPath: path + "/new", contents: nil))
      let setLock: Int32 = 37  // F_OFD_SETLK
      let writer = Foundation.open(written, O_WRONLY)
      var whole = Foundation.flock()
      whole.l_type = Int16(F_WRLCK)
      #expect(fcntl(writer, setLock, &whole) == 0)
      try open(path).get().close()
      #expect(try FileManager.default.contentsOfDirectory(atPath: path).sorted() == ["new", "written.0.new"])
      Foundation.close(writer)
      try open(path, isReader: true).get().close()
      #expect(FileManager.default.fileExists(atPath: written))
      try open(path).get().close()
      #expect(!FileManager.default.fileExists(atPath: written))
    }
  }
}

private func sentence(_ result: Result<StoreDirectory, Fault>) -> String {
  guard case .failure(let fault) = result else { return "" }
  return Bytes.of(fault.sentence).text
}
