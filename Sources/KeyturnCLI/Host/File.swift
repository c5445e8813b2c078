import Foundation

/// Files as people name them: "-" is standard input, or standard output.
enum File {
  static func read(_ path: String) throws(Complaint) -> Data {
    let file = path == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: path)
    guard let file else { throw Complaint("\(path): \(reason())") }
    do { return try file.read(upToCount: 1 << 26) ?? Data() } catch {
      throw Complaint("\(path): not a file that can be read")
    }
  }

  /// In one step: there is the old file, or the whole new one.
  static func write(_ text: String, to path: String) throws(Complaint) {
    guard path != "-" else { return Terminal.line(text) }
    do { try Data((text + "\n").utf8).write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
      throw Complaint("\(path): it cannot be written")
    }
  }

  private static func reason() -> String { String(cString: strerror(errno)) }
}
