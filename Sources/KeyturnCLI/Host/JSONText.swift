import Foundation

/// JSON to be read, or to be parsed: members in the order of their names, and no octet that a terminal would obey.
extension JSON {
  /// In one line, or indented by `indent` levels from here on.
  func written(indent: Int? = nil) -> String {
    switch self {
    case .null: "null"
    case .flag(let flag): flag ? "true" : "false"
    case .number(let number): String(number)
    case .fraction(let number): number.isFinite ? String(number) : "null"
    case .text(let text): JSON.quoted(text)
    case .list(let values): JSON.block("[", values.map { ("", $0) }, "]", indent)
    case .object(let members):
      JSON.block(
        "{", members.sorted { $0.key < $1.key }.map { (JSON.quoted($0.key) + ": ", $0.value) }, "}", indent)
    }
  }

  private static func block(_ open: String, _ values: [(String, JSON)], _ close: String, _ indent: Int?)
    -> String
  {
    guard !values.isEmpty else { return open + close }
    guard let indent else {
      return open + values.map { $0 + $1.written() }.joined(separator: ", ") + close
    }
    let margin = String(repeating: "  ", count: indent)
    let lines = values.map { margin + "  " + $0 + $1.written(indent: indent + 1) }
    return open + "\n" + lines.joined(separator: ",\n") + "\n" + margin + close
  }

  private static func quoted(_ text: String) -> String {
    let body = text.unicodeScalars.map { scalar in
      switch scalar {
      case "\"", "\\": "\\\(scalar)"
      case _ where Terminal.isUnsafe(scalar):
        String(scalar).utf16.map { String(format: "\\u%04x", $0) }.joined()
      default: String(scalar)
      }
    }
    return "\"\(body.joined())\""
  }
}

extension JSON {
  init(_ text: String?) { self = text.map { .text($0) } ?? .null }
  init(_ number: Int64?) { self = number.map { .number($0) } ?? .null }
}
