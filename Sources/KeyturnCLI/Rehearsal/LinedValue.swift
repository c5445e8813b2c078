import Foundation
import Yams

/// A value of YAML, and so of JSON, that knows its line, so that whoever wrote it is told where it is wrong.
struct LinedValue {
  indirect enum Value {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([LinedValue])
    case object([Member])
  }

  struct Member {
    let name: String
    let line: Int
    let value: LinedValue
  }

  let line: Int
  let value: Value

  static func parse(_ data: Data) throws(Mistake) -> LinedValue {
    guard let text = String(data: data, encoding: .utf8) else {
      throw Mistake(line: 1, sentence: "not UTF-8")
    }
    guard let root = try compose(text) else { throw Mistake(line: 1, sentence: "a value is missing") }
    var reader = Reader()
    return try reader.value(root, depth: 0)
  }

  private static func compose(_ text: String) throws(Mistake) -> Node? {
    do {
      return try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot()
    } catch { throw Mistake(error) }
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

  subscript(_ name: String) -> LinedValue? {
    guard case .object(let members) = value else { return nil }
    return members.first { $0.name == name }?.value
  }
}

/// What is wrong in a file, and in which line.
struct Mistake: Error {
  let line: Int
  let sentence: String
}

extension Mistake {
  fileprivate init(_ error: any Error) {
    switch error as? YamlError {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      self.init(line: mark.line, sentence: (context.map { "\($0.text): " } ?? "") + problem)
    case .duplicatedKeysInMapping(let names, let context):
      self.init(
        line: context.mark.line, sentence: "\(names.joined(separator: ", ")): there twice, first here")
    case .reader(let problem, let offset, _, let text):
      let before = text.prefix(offset ?? 0)
      self.init(line: 1 + before.count { $0.isNewline }, sentence: problem)
    default: self.init(line: 1, sentence: "not YAML")
    }
  }
}

private struct Reader {
  /// An alias is a value again, and a few of aliases of aliases are more than there is memory for.
  private var left = 1_000_000

  mutating func value(_ node: Node, depth: Int) throws(Mistake) -> LinedValue {
    let line = node.mark?.line ?? 1
    left -= 1
    guard depth < 32 else { throw Mistake(line: line, sentence: "nested too deeply") }
    guard left > 0 else { throw Mistake(line: line, sentence: "too many values") }
    return LinedValue(line: line, value: try content(node, line, depth))
  }

  private mutating func content(_ node: Node, _ line: Int, _ depth: Int) throws(Mistake) -> LinedValue.Value {
    switch node {
    case .scalar(let scalar): return Reader.word(scalar)
    case .sequence(let nodes):
      var found: [LinedValue] = []
      for node in nodes { found.append(try value(node, depth: depth + 1)) }
      return .list(found)
    case .mapping(let pairs):
      var found: [LinedValue.Member] = []
      for (key, node) in pairs { found.append(try member(key, node, line, depth)) }
      return .object(found)
    case .alias: throw Mistake(line: line, sentence: "an alias of nothing")
    }
  }

  private mutating func member(_ key: Node, _ node: Node, _ line: Int, _ depth: Int) throws(Mistake)
    -> LinedValue.Member
  {
    let line = key.mark?.line ?? line
    guard case .scalar(let name) = key else { throw Mistake(line: line, sentence: "a name that is no text") }
    return LinedValue.Member(name: name.string, line: line, value: try value(node, depth: depth + 1))
  }

  /// Without quotes, JSON's words are what they are in JSON, and all else is text: `on`, `no` and `1:30`, too, of which
  /// YAML 1.1 makes something else.
  private static func word(_ scalar: Node.Scalar) -> LinedValue.Value {
    guard scalar.style == .plain else { return .text(scalar.string) }
    switch scalar.string {
    case "null", "~", "": return .null
    case "true": return .flag(true)
    case "false": return .flag(false)
    case let text: return number(text).map { .number($0) } ?? .text(text)
    }
  }

  private static func number(_ text: String) -> Double? {
    guard text.utf8.first.map({ "-0123456789".utf8.contains($0) }) ?? false else { return nil }
    return try? JSONDecoder().decode(Double.self, from: Data(text.utf8))
  }
}
