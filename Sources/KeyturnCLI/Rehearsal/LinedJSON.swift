import Foundation

/// A JSON value that knows its line, so that whoever wrote it is told where it is wrong.
struct LinedJSON {
  indirect enum Value {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([LinedJSON])
    case object([Member])
  }

  struct Member {
    let name: String
    let line: Int
    let value: LinedJSON
  }

  let line: Int
  let value: Value

  static func parse(_ data: Data) throws(Mistake) -> LinedJSON {
    var reader = Reader(octets: Array(data))
    return try reader.document()
  }

  /// For what has no line to tell.
  var plain: JSON {
    switch value {
    case .null: .null
    case .flag(let flag): .flag(flag)
    case .number(let number): Int64(exactly: number).map { .number($0) } ?? .fraction(number)
    case .text(let text): .text(text)
    case .list(let values): .list(values.map(\.plain))
    case .object(let members):
      .object(Dictionary(members.map { ($0.name, $0.value.plain) }, uniquingKeysWith: { $1 }))
    }
  }

  subscript(_ name: String) -> LinedJSON? {
    guard case .object(let members) = value else { return nil }
    return members.first { $0.name == name }?.value
  }
}

/// What is wrong in a file, and in which line.
struct Mistake: Error {
  let line: Int
  let sentence: String
}

private struct Reader {
  let octets: [UInt8]
  var place = 0
  var line = 1
  var depth = 0

  mutating func document() throws(Mistake) -> LinedJSON {
    let found = try value()
    skipSpace()
    guard place == octets.count else { throw mistake("something follows the document") }
    return found
  }

  private func mistake(_ sentence: String) -> Mistake { Mistake(line: line, sentence: sentence) }

  private var next: UInt8? { place < octets.count ? octets[place] : nil }

  private mutating func skipSpace() {
    while let octet = next, octet == 0x20 || octet == 0x0A || octet == 0x0D || octet == 0x09 {
      if octet == 0x0A { line += 1 }
      place += 1
    }
  }

  private mutating func take(_ wanted: Character) -> Bool {
    skipSpace()
    guard next == wanted.asciiValue else { return false }
    place += 1
    return true
  }

  private mutating func value() throws(Mistake) -> LinedJSON {
    skipSpace()
    depth += 1
    defer { depth -= 1 }
    guard depth < 32 else { throw mistake("nested too deeply") }
    let start = line
    return LinedJSON(line: start, value: try content())
  }

  private mutating func content() throws(Mistake) -> LinedJSON.Value {
    switch next {
    case UInt8(ascii: "{"): return .object(try members())
    case UInt8(ascii: "["): return .list(try elements())
    case UInt8(ascii: "\""): return .text(try string())
    default: return try word()
    }
  }

  private mutating func members() throws(Mistake) -> [LinedJSON.Member] {
    place += 1
    var found: [LinedJSON.Member] = []
    guard !take("}") else { return found }
    repeat {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw mistake("a member's name in quotes is missing") }
      let start = line
      let name = try string()
      guard take(":") else { throw mistake("a colon is missing after \"\(name)\"") }
      guard !found.contains(where: { $0.name == name }) else { throw mistake("\"\(name)\" is there twice") }
      found.append(LinedJSON.Member(name: name, line: start, value: try value()))
    } while take(",")
    guard take("}") else { throw mistake("a comma or a closing brace is missing") }
    return found
  }

  private mutating func elements() throws(Mistake) -> [LinedJSON] {
    place += 1
    var found: [LinedJSON] = []
    guard !take("]") else { return found }
    repeat { found.append(try value()) } while take(",")
    guard take("]") else { throw mistake("a comma or a closing bracket is missing") }
    return found
  }

  /// From quote to quote; what is escaped in it is Foundation's matter.
  private mutating func string() throws(Mistake) -> String {
    let start = place
    place += 1
    while let octet = next, octet != UInt8(ascii: "\"") {
      guard octet >= 0x20 else { throw mistake("a text without its closing quote") }
      place += octet == UInt8(ascii: "\\") ? 2 : 1
    }
    guard next != nil else { throw mistake("a text without its closing quote") }
    place += 1
    guard let text = decoded(start..<place, as: String.self) else { throw mistake("not a JSON text") }
    return text
  }

  private mutating func word() throws(Mistake) -> LinedJSON.Value {
    let start = place
    while let octet = next, !" \n\r\t,:]}[{\"".utf8.contains(octet) { place += 1 }
    switch String(decoding: octets[start..<place], as: UTF8.self) {
    case "null": return .null
    case "true": return .flag(true)
    case "false": return .flag(false)
    case "": throw mistake("a value is missing")
    case let text:
      guard let number = decoded(start..<place, as: Double.self) else {
        throw mistake("\(text): not a value of JSON")
      }
      return .number(number)
    }
  }

  private func decoded<Value: Decodable>(_ range: Range<Int>, as kind: Value.Type) -> Value? {
    try? JSONDecoder().decode(kind, from: Data(octets[range]))
  }
}
