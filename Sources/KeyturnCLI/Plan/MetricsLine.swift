/// A sample of Prometheus's text format, version 0.0.4: `name{label="value",...} value timestamp`, of which the labels and the
/// timestamp may be missing.
struct MetricsLine {
  private(set) var name = ""
  private(set) var labels: [String: String] = [:]
  private(set) var value = 0.0
  private var rest: ArraySlice<UInt8>

  /// Without the line's end; nil: it is none.
  init?(_ line: ArraySlice<UInt8>) {
    rest = line
    name = word()
    guard !name.isEmpty, !skip("{") || readLabels(), let value = Double(field()) else { return nil }
    self.value = value
    let timestamp = field()
    guard timestamp.isEmpty || Int64(timestamp) != nil, field().isEmpty else { return nil }
  }

  private mutating func readLabels() -> Bool {
    while !skip("}") {
      let label = word()
      guard !label.isEmpty, skip("="), skip("\""), let text = readQuoted() else { return false }
      labels[label] = text
      guard skip(",") || rest.first == UInt8(ascii: "}") else { return false }
    }
    return true
  }

  /// What comes before the closing quote, where `\\`, `\"` and `\n` stand for what else could not; nil: there is none.
  private mutating func readQuoted() -> String? {
    var octets: [UInt8] = []
    while let octet = rest.popFirst() {
      switch octet {
      case UInt8(ascii: "\""): return String(decoding: octets, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let escaped = rest.popFirst(), let meant = MetricsLine.escapes[escaped] else { return nil }
        octets.append(meant)
      default: octets.append(octet)
      }
    }
    return nil
  }

  private static let escapes: [UInt8: UInt8] = [
    UInt8(ascii: "\\"): UInt8(ascii: "\\"), UInt8(ascii: "\""): UInt8(ascii: "\""),
    UInt8(ascii: "n"): UInt8(ascii: "\n"),
  ]

  // MARK: - Parts, with any number of blanks between them

  private mutating func word() -> String { take(MetricsLine.isWord) }
  private mutating func field() -> String { take { !MetricsLine.isBlank($0) } }

  private mutating func skip(_ mark: Unicode.Scalar) -> Bool {
    skipBlanks()
    guard rest.first == UInt8(ascii: mark) else { return false }
    rest.removeFirst()
    return true
  }

  private mutating func take(_ isPart: (UInt8) -> Bool) -> String {
    skipBlanks()
    let part = rest.prefix(while: isPart)
    rest = rest.dropFirst(part.count)
    return String(decoding: part, as: UTF8.self)
  }

  private mutating func skipBlanks() { rest = rest.drop(while: MetricsLine.isBlank) }

  /// The end of a line that ends as on Windows is blank, too.
  static func isBlank(_ octet: UInt8) -> Bool {
    octet == UInt8(ascii: " ") || octet == UInt8(ascii: "\t") || octet == UInt8(ascii: "\r")
  }

  private static func isWord(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"): true
    default: false
    }
  }
}
