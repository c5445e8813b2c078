internal import CKeyturn

/// The file that an issuer's keys come from, as it was read: in no lock, since its medium may take its time. Links
/// are followed, so that a mounted volume whose link is swapped is seen. Nothing where there is no file.
struct SourceFile: ~Copyable {
  private(set) var mark: FileMark?
  private(set) var digest: UInt64 = 0
  private var buffer = Buffer(maximum: 0)
  private var count = 0

  /// `path` is NUL-terminated; empty for none.
  init(_ path: Bytes, atMost maximum: Int) throws(Fault) {
    guard let start = unsafe path.string else { return }
    let file = unsafe ckeyturn_path_open(start)
    guard file >= 0 else { throw SourceFile.refused("It is not there, or cannot be opened.") }
    defer { ckeyturn_store_close(file) }
    var facts = ckeyturn_file()
    guard unsafe ckeyturn_store_look(file, &facts) == 0, facts.is_regular == 1 else {
      throw SourceFile.refused("It is no regular file.")
    }
    guard facts.size <= maximum else {
      throw Fault(.invalidDocument, "The file is larger than max_document.", option: "file")
    }
    mark = FileMark(facts)
    buffer = try Fault.of { () throws(Status) in try Buffer.of(Int(facts.size)) }
    count = try SourceFile.fill(buffer.room, from: file)
    let document = document
    digest = try Fault.of { () throws(Status) in try SHA256.word(of: document) }
  }

  var document: Bytes { buffer.room.bytes(count) }

  static func mark(of path: Bytes) -> FileMark? {
    var facts = ckeyturn_file()
    guard let start = unsafe path.string, unsafe ckeyturn_path_look(start, &facts) == 0 else { return nil }
    return FileMark(facts)
  }

  /// As much as there still is.
  private static func fill(_ room: Room, from file: Int32) throws(Fault) -> Int {
    guard let start = unsafe room.pointer else { return 0 }
    let count = unsafe Int(ckeyturn_store_read(file, start, room.count))
    guard count >= 0 else { throw refused("It cannot be read.") }
    return count
  }

  private static func refused(_ sentence: StaticString) -> Fault {
    Fault(.invalidOption, sentence, option: "file")
  }
}

/// When a source's file is looked at, and what was read there last.
struct FileWatch: BitwiseCopyable {
  private(set) var mark: FileMark?
  private(set) var next = Int64.max
  /// When what was read is read once more: it may have been half written, or written again within the same
  /// tick of the file system's clock.
  private var again = Int64.max
  /// Of the keys, by whatever way: what is read before one lands after it no more.
  var changes: UInt64 = 0

  static var settling: Int64 { 1_000 }

  /// Whether it is to be read, now that it is so.
  func mustRead(_ found: FileMark?, now: Int64) -> Bool { found != nil && (found != mark || now >= again) }

  /// Read, and understood or refused for good.
  mutating func read(_ found: FileMark?, now: Int64) {
    again = found == mark ? .max : now &+ FileWatch.settling
    mark = found
  }

  mutating func plan(_ interval: Int64, now: Int64) {
    next = now &+ interval
    if again > now { next = min(next, again) }
  }

  /// Something has changed, perhaps it.
  mutating func hurry() {
    if next != .max { next = .min }
  }

  /// It is another file from now on, or none.
  mutating func forget() { (mark, next, again) = (nil, .max, .max) }
}
