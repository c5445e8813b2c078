import Foundation

/// One line for each event: time, level, what happened, and what belongs to it as name="value". Whatever a
/// value holds, the line stays one.
enum Log {
  enum Level: String {
    case info
    case warning
    case error
  }

  private static let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  static func write(_ level: Level, _ event: String, _ fields: KeyValuePairs<String, String?> = [:]) {
    write(level, event, fields.compactMap { name, value in value.map { (name, $0) } })
  }

  static func write(_ level: Level, _ event: String, _ fields: [(String, String)]) {
    let time = Date().formatted(style)
    let told = fields.map { name, value in " \(name)=\(quoted(value))" }.joined()
    FileHandle.standardError.write(Data("\(time) \(level.rawValue) \(event)\(told)\n".utf8))
  }

  static func quoted(_ value: String) -> String {
    let body = value.unicodeScalars.map { scalar in
      switch scalar {
      case "\"", "\\": "\\\(scalar)"
      case _ where breaksLines(scalar):
        String(format: "\\u%04x", scalar.value)
      default: String(scalar)
      }
    }
    return "\"\(body.joined())\""
  }

  private static func breaksLines(_ scalar: Unicode.Scalar) -> Bool {
    [.control, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
  }
}
