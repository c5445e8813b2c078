/// Goes through the elements of a validated array.
struct JSONElements {
  private var walk: JSONWalk

  init(_ array: Bytes) {
    walk = JSONWalk(array)
  }

  mutating func next() -> JSONValue? {
    walk.value(after: UInt8(ascii: ","))
  }
}

/// Goes through the members of a validated object.
struct JSONMembers {
  private var walk: JSONWalk

  init(_ object: Bytes) {
    walk = JSONWalk(object)
  }

  mutating func next() -> (name: JSONString, value: JSONValue)? {
    guard let name = walk.value(after: UInt8(ascii: ","))?.string,
      let value = walk.value(after: UInt8(ascii: ":"))
    else { return nil }
    return (name, value)
  }
}

/// A cursor in a validated array or object, past its bracket. Each step goes forward or ends the walk.
private struct JSONWalk {
  private let text: Bytes
  private var position = 1

  init(_ text: Bytes) {
    self.text = text
  }

  /// The next value, past space and one separator.
  mutating func value(after separator: UInt8) -> JSONValue? {
    while let octet = text.byte(at: position), octet == separator || JSONLexer.isSpace(octet) {
      position &+= 1
    }
    let start = position
    skipValue()
    return JSONValue(text.slice(from: start, length: position &- start))
  }

  private mutating func skipValue() {
    switch text.byte(at: position) {
    case UInt8(ascii: "\""): skipString()
    case UInt8(ascii: "{"), UInt8(ascii: "["): skipNested()
    default: skipScalar()
    }
  }

  private mutating func skipString() {
    position &+= 1
    while let octet = text.byte(at: position) {
      position &+= octet == UInt8(ascii: "\\") ? 2 : 1
      if octet == UInt8(ascii: "\"") { return }
    }
  }

  private mutating func skipNested() {
    var depth = 0
    repeat {
      switch text.byte(at: position) {
      case UInt8(ascii: "\""): skipString()
      case UInt8(ascii: "{"), UInt8(ascii: "["): enter(&depth, 1)
      case UInt8(ascii: "}"), UInt8(ascii: "]"): enter(&depth, -1)
      case nil: return
      default: position &+= 1
      }
    } while depth > 0
  }

  private mutating func enter(_ depth: inout Int, _ change: Int) {
    depth &+= change
    position &+= 1
  }

  private mutating func skipScalar() {
    while let octet = text.byte(at: position), !endsScalar(octet) { position &+= 1 }
  }

  private func endsScalar(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "}"): true
    default: JSONLexer.isSpace(octet)
    }
  }
}
