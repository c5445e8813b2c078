import Foundation

/// What people read. Nothing of a peer's reaches a terminal as it came, and colours are for terminals alone.
enum Terminal {
  static let hasColour =
    isatty(STDOUT_FILENO) == 1 && variable("NO_COLOR") == nil && variable("TERM") != "dumb"
  static let showsProgress = isatty(STDERR_FILENO) == 1

  enum Colour: String {
    case good = "32"
    case bad = "31"
    case doubtful = "33"
    case quiet = "2"
    case strong = "1"
  }

  static func line(_ text: String = "") { write(text + "\n", to: STDOUT_FILENO) }

  static func complain(_ sentence: String) {
    write("keyturn: \(safe(sentence))\n", to: STDERR_FILENO)
  }

  /// For who watches; and gone when `body` has ended.
  static func whileSaying<Result>(_ what: String, _ body: () throws -> Result) rethrows -> Result {
    guard showsProgress else { return try body() }
    write("\(safe(what)) ...", to: STDERR_FILENO)
    defer { write("\r\u{1B}[K", to: STDERR_FILENO) }
    return try body()
  }

  static func coloured(_ text: String, _ colour: Colour) -> String {
    hasColour ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
  }

  /// Without what moves a cursor, ends a line or turns the direction of reading.
  static func safe(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
    return text.unicodeScalars.map { isUnsafe($0) ? String(format: "\\u%04x", $0.value) : String($0) }
      .joined()
  }

  static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    [.control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse]
      .contains(scalar.properties.generalCategory)
  }

  private static func write(_ text: String, to descriptor: Int32) {
    try? FileHandle(fileDescriptor: descriptor).write(contentsOf: Data(text.utf8))
  }

  private static func variable(_ name: String) -> String? {
    ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
  }
}
