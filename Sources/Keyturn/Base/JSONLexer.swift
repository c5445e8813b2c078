/// Reads the tokens of a JSON text, strictly (RFC 8259), and only ever moves forward.
///
/// Beyond the text there are NULs: a NUL begins and continues no token, so the end needs no case of its own.
struct JSONLexer {
  let text: Bytes
  private(set) var position: Int

  init(_ text: Bytes, at position: Int = 0) {
    self.text = text
    self.position = position
  }

  var isAtEnd: Bool { position >= text.count }

  @inline(__always)
  var next: UInt8 { text.byte(at: position) ?? 0 }

  @inline(__always)
  mutating func skip() { position &+= 1 }

  @inline(__always)
  mutating func skipSpace() {
    while JSONLexer.isSpace(next) { skip() }
  }

  @inline(__always)
  static func isSpace(_ octet: UInt8) -> Bool {
    guard octet <= UInt8(ascii: " ") else { return false }
    return octet == UInt8(ascii: " ") || octet == UInt8(ascii: "\n") || octet == UInt8(ascii: "\r")
      || octet == UInt8(ascii: "\t")
  }

  /// True, and past it, if `octet` is next.
  @inline(__always)
  mutating func take(_ octet: UInt8) -> Bool {
    guard next == octet else { return false }
    skip()
    return true
  }

  // MARK: - Strings

  @inline(__always)
  mutating func string() throws(Status) -> JSONString {
    guard take(UInt8(ascii: "\"")) else { throw .badJSON }
    let start = position
    var escaped = false
    while true {
      skipPlain()
      switch next {
      case UInt8(ascii: "\""):
        let raw = text.slice(from: start, length: position &- start)
        skip()
        return JSONString(raw: raw, escaped: escaped)
      case UInt8(ascii: "\\"):
        escaped = true
        try escape()
      case 0x80...: try character()
      case 0x20...: skip()
      default: throw .badJSON
      }
    }
  }

  /// Passes what needs no second look, eight octets at a time.
  @inline(__always)
  private mutating func skipPlain() {
    while let word = text.word(at: position) {
      let special = JSONLexer.special(word)
      guard special == 0 else {
        position &+= special.trailingZeroBitCount &>> 3
        return
      }
      position &+= 8
    }
  }

  /// The high bit of the lowest octet that is a quote, a backslash, a control character or not ASCII; above it
  /// other bits may be set.
  @inline(__always)
  private static func special(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = (word ^ (ones &* 0x22)) &- ones
    let backslash = (word ^ (ones &* 0x5c)) &- ones
    let control = word &- ones &* 0x20
    return (quote | backslash | control | word) & (ones &* 0x80)
  }

  private mutating func escape() throws(Status) {
    skip()
    let letter = next
    skip()
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      return
    case UInt8(ascii: "u"): try codePoint()
    default: throw .badJSON
    }
  }

  /// Half of a pair alone stands for no character.
  private mutating func codePoint() throws(Status) {
    let unit = try codeUnit()
    guard unit & 0xf800 == 0xd800 else { return }
    guard unit < 0xdc00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw .badJSON }
    guard try codeUnit() & 0xfc00 == 0xdc00 else { throw .badJSON }
  }

  private mutating func codeUnit() throws(Status) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = JSONLexer.hexDigit(next) else { throw .badJSON }
      unit = unit &<< 4 | digit
      skip()
    }
    return unit
  }

  static func hexDigit(_ octet: UInt8) -> UInt32? {
    switch octet {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(octet &- UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(octet &- UInt8(ascii: "a") &+ 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(octet &- UInt8(ascii: "A") &+ 10)
    default: nil
    }
  }

  /// One character beyond ASCII, in its shortest form and no surrogate (RFC 3629 section 4).
  mutating func character() throws(Status) {
    let first = next
    let second = text.byte(at: position &+ 1) ?? 0
    let (length, range): (Int, ClosedRange<UInt8>) =
      switch first {
      case 0xc2...0xdf: (2, 0x80...0xbf)
      case 0xe0: (3, 0xa0...0xbf)
      case 0xed: (3, 0x80...0x9f)
      case 0xe1...0xef: (3, 0x80...0xbf)
      case 0xf0: (4, 0x90...0xbf)
      case 0xf1...0xf3: (4, 0x80...0xbf)
      case 0xf4: (4, 0x80...0x8f)
      default: throw .badJSON
      }
    guard range.contains(second) else { throw .badJSON }
    for offset in 2..<max(2, length) {
      guard let octet = text.byte(at: position &+ offset), octet & 0xc0 == 0x80 else { throw .badJSON }
    }
    position &+= length
  }

  // MARK: - The others

  mutating func number() throws(Status) {
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) { try digits() }
    if take(UInt8(ascii: ".")) { try digits() }
    guard next | 0x20 == UInt8(ascii: "e") else { return }
    skip()
    if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
    try digits()
  }

  private mutating func digits() throws(Status) {
    guard JSONNumber.isDigit(next) else { throw .badJSON }
    while JSONNumber.isDigit(next) { skip() }
  }

  @inline(__always)
  mutating func literal(_ word: StaticString) throws(Status) {
    guard text.slice(from: position, length: Bytes(word).count) == word else { throw .badJSON }
    position &+= Bytes(word).count
  }
}
