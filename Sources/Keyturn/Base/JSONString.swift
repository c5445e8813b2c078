/// A JSON string as it stands in the text: its content is unescaped only as it is looked at.
struct JSONString {
  /// Between the quotes.
  let raw: Bytes
  let escaped: Bool

  /// The content, octet by octet.
  var octets: JSONOctets { JSONOctets(raw) }

  /// Inlined, so that the name of a member is compared in place.
  @inline(__always)
  func isNamed(_ name: StaticString) -> Bool {
    escaped ? equals(Bytes(name)) : raw.equals(Bytes(name))
  }

  func equals(_ plain: Bytes) -> Bool {
    guard escaped else { return raw == plain }
    guard raw.count > plain.count else { return false }
    guard var rest = begins(with: plain) else { return false }
    return rest.next() == nil
  }

  func hasPrefix(_ plain: Bytes) -> Bool {
    escaped ? begins(with: plain) != nil : raw.hasPrefix(plain)
  }

  func equals(_ other: JSONString) -> Bool {
    guard escaped || other.escaped else { return raw == other.raw }
    var (mine, theirs) = (octets, other.octets)
    while let octet = mine.next() {
      guard theirs.next() == octet else { return false }
    }
    return theirs.next() == nil
  }

  /// Whether `plain` is one of the words that single spaces part (RFC 8693 section 4.2).
  func hasWord(_ plain: Bytes) -> Bool {
    guard !plain.isEmpty else { return false }
    var matched: Int? = 0
    var rest = octets
    while let octet = rest.next() {
      if octet == UInt8(ascii: " ") {
        if matched == plain.count { return true }
        matched = 0
      } else {
        matched = matched.flatMap { plain.byte(at: $0) == octet ? $0 &+ 1 : nil }
      }
    }
    return matched == plain.count
  }

  var unescapedCount: Int {
    guard escaped else { return raw.count }
    var count = 0
    var rest = octets
    while rest.next() != nil { count &+= 1 }
    return count
  }

  /// Writes the content: its length, or nil where it does not fit.
  func unescape(into room: Room) -> Int? {
    guard escaped else { return room.copy(raw, at: 0) ? raw.count : nil }
    var count = 0
    var rest = octets
    while let octet = rest.next() {
      guard room.set(octet, at: count) else { return nil }
      count &+= 1
    }
    return count
  }

  /// What follows after `plain`, if the content begins with it.
  private func begins(with plain: Bytes) -> JSONOctets? {
    var rest = octets
    var position = 0
    while let expected = plain.byte(at: position) {
      guard rest.next() == expected else { return nil }
      position &+= 1
    }
    return rest
  }
}

/// The content of a JSON string, octet by octet. It ends early where an escape is none.
struct JSONOctets {
  private let raw: Bytes
  private var position = 0
  /// Octets of an escaped character that are still to come, the next one lowest.
  private var pending: UInt32 = 0
  private var pendingCount = 0

  init(_ raw: Bytes) {
    self.raw = raw
  }

  mutating func next() -> UInt8? {
    if pendingCount > 0 { return nextPending() }
    guard let octet = raw.byte(at: position) else { return nil }
    position &+= 1
    return octet == UInt8(ascii: "\\") ? escape() : octet
  }

  private mutating func nextPending() -> UInt8 {
    let octet = UInt8(truncatingIfNeeded: pending)
    pending = pending &>> 8
    pendingCount &-= 1
    return octet
  }

  private mutating func escape() -> UInt8? {
    let letter = raw.byte(at: position) ?? 0
    position &+= 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return letter
    case UInt8(ascii: "b"): return 0x08
    case UInt8(ascii: "f"): return 0x0c
    case UInt8(ascii: "n"): return 0x0a
    case UInt8(ascii: "r"): return 0x0d
    case UInt8(ascii: "t"): return 0x09
    case UInt8(ascii: "u"): return codePoint()
    default: return end()
    }
  }

  private mutating func codePoint() -> UInt8? {
    guard let unit = codeUnit() else { return end() }
    guard unit & 0xf800 == 0xd800 else { return begin(unit) }
    position &+= 2
    guard let low = codeUnit() else { return end() }
    return begin(0x1_0000 &+ (unit & 0x3ff) &<< 10 &+ low & 0x3ff)
  }

  private mutating func codeUnit() -> UInt32? {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let octet = raw.byte(at: position), let digit = JSONLexer.hexDigit(octet) else { return nil }
      unit = unit &<< 4 | digit
      position &+= 1
    }
    return unit
  }

  /// Encodes a code point as UTF-8, last octet first.
  private mutating func begin(_ codePoint: UInt32) -> UInt8 {
    guard codePoint >= 0x80 else { return UInt8(truncatingIfNeeded: codePoint) }
    var rest = codePoint
    var limit: UInt32 = 0x40
    var mark: UInt32 = 0x80
    repeat {
      prepend(0x80 | rest & 0x3f)
      rest = rest &>> 6
      limit = limit &>> 1
      mark = mark &>> 1 | 0x80
    } while rest >= limit
    prepend(mark | rest)
    return nextPending()
  }

  private mutating func prepend(_ octet: UInt32) {
    pending = pending &<< 8 | octet & 0xff
    pendingCount &+= 1
  }

  private mutating func end() -> UInt8? {
    position = raw.count
    return nil
  }
}
