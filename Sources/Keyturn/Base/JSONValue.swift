enum JSONKind: UInt8 {
  case null, boolean, number, string, array, object

  /// Nothing else can begin a value.
  @inline(__always)
  init?(firstOctet: UInt8) {
    switch firstOctet {
    case UInt8(ascii: "\""): self = .string
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): self = .number
    case UInt8(ascii: "{"): self = .object
    case UInt8(ascii: "["): self = .array
    case UInt8(ascii: "t"), UInt8(ascii: "f"): self = .boolean
    case UInt8(ascii: "n"): self = .null
    default: return nil
    }
  }
}

/// A value in a text that `JSON` has validated. On any other text the answers mean nothing, but the text is
/// never left, and every walk through it ends.
struct JSONValue {
  let kind: JSONKind
  /// The value's own JSON text.
  let text: Bytes

  init(kind: JSONKind, text: Bytes) {
    self.kind = kind
    self.text = text
  }

  /// A text that holds one value, and perhaps space around it; nil if it can be none.
  @inline(__always)
  init?(_ text: Bytes) {
    var start = 0
    while let octet = text.byte(at: start), JSONLexer.isSpace(octet) { start &+= 1 }
    var end = text.count
    while end > start, let octet = text.byte(at: end &- 1), JSONLexer.isSpace(octet) { end &-= 1 }
    guard let kind = JSONKind(firstOctet: text.byte(at: start) ?? 0) else { return nil }
    self.kind = kind
    self.text = text.slice(from: start, length: end &- start)
  }

  var string: JSONString? {
    guard kind == .string else { return nil }
    let raw = text.slice(from: 1, length: text.count &- 2)
    return JSONString(raw: raw, escaped: raw.firstIndex(of: UInt8(ascii: "\\")) != nil)
  }

  var number: JSONNumber? {
    kind == .number ? JSONNumber(text: text) : nil
  }

  var boolean: Bool? {
    kind == .boolean ? text.byte(at: 0) == UInt8(ascii: "t") : nil
  }

  /// An object's members; none for any other kind.
  func members() -> JSONMembers { JSONMembers(kind == .object ? text : .empty) }

  /// An array's elements; none for any other kind.
  func elements() -> JSONElements { JSONElements(kind == .array ? text : .empty) }

  func member(_ name: Bytes) -> JSONValue? {
    var rest = members()
    while let (candidate, value) = rest.next() {
      if candidate.equals(name) { return value }
    }
    return nil
  }

  /// The value that a JSON pointer names (RFC 6901); nil where there is none, or it is no pointer.
  func at(pointer: Bytes) -> JSONValue? {
    var value = self
    var start = 0
    while start < pointer.count {
      guard pointer.byte(at: start) == UInt8(ascii: "/") else { return nil }
      let end = pointer.firstIndex(of: UInt8(ascii: "/"), from: start &+ 1) ?? pointer.count
      let token = pointer.slice(from: start &+ 1, length: end &- start &- 1)
      guard let inner = value.child(JSONPointerToken(token)) else { return nil }
      value = inner
      start = end
    }
    return value
  }

  private func child(_ token: JSONPointerToken) -> JSONValue? {
    switch kind {
    case .object: member(token)
    case .array: element(token)
    default: nil
    }
  }

  private func member(_ token: JSONPointerToken) -> JSONValue? {
    var rest = members()
    while let (candidate, value) = rest.next() {
      if token.names(candidate) { return value }
    }
    return nil
  }

  private func element(_ token: JSONPointerToken) -> JSONValue? {
    guard var before = token.index else { return nil }
    var rest = elements()
    while before > 0, rest.next() != nil { before &-= 1 }
    return before == 0 ? rest.next() : nil
  }
}

/// One reference token of a JSON pointer (RFC 6901 section 3), its "~" escapes still in it.
private struct JSONPointerToken {
  let text: Bytes

  init(_ text: Bytes) {
    self.text = text
  }

  func names(_ member: JSONString) -> Bool {
    var octets = member.octets
    var position = 0
    while let octet = text.byte(at: position) {
      guard let (expected, length) = unescape(octet, at: position) else { return false }
      guard octets.next() == expected else { return false }
      position &+= length
    }
    return octets.next() == nil
  }

  /// As an array's index: decimal, without leading zeros.
  var index: Int? {
    guard text.count <= 18, text.byte(at: 0) != UInt8(ascii: "0") || text.count == 1 else { return nil }
    var index = 0
    var position = 0
    while let octet = text.byte(at: position) {
      guard JSONNumber.isDigit(octet) else { return nil }
      index = index &* 10 &+ Int(octet & 0x0f)
      position &+= 1
    }
    return position > 0 ? index : nil
  }

  private func unescape(_ octet: UInt8, at position: Int) -> (octet: UInt8, length: Int)? {
    guard octet == UInt8(ascii: "~") else { return (octet, 1) }
    switch text.byte(at: position &+ 1) {
    case UInt8(ascii: "0"): return (UInt8(ascii: "~"), 2)
    case UInt8(ascii: "1"): return (UInt8(ascii: "/"), 2)
    default: return nil
    }
  }
}
