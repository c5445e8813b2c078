internal import CKeyturn

/// Base64url without padding (RFC 4648 section 5, RFC 7515 section 2), and the one lenient reading that JWK
/// Sets need.
enum Base64URL {
  /// How many octets `count` characters stand for.
  static func decodedCount(_ count: Int) -> Int {
    count > 0 ? count / 4 &* 3 &+ (count & 3) &* 3 / 4 : 0
  }

  /// Decodes the canonical form and nothing else, so that each string of octets has one text. Gives the number
  /// of octets, or nil: then the room's content means nothing.
  static func decode(_ text: Bytes, into room: Room) -> Int? {
    let count = decodedCount(text.count)
    guard text.count & 3 != 1, count <= room.count else { return nil }
    guard let source = unsafe text.pointer, let target = unsafe room.pointer else { return 0 }
    let sixteens = unsafe ckeyturn_decode_sixteens(source, text.count, target, room.count)
    guard sixteens >= 0 else { return nil }
    var (at, seen) = (Int(sixteens), UInt32(0))
    while at &+ 4 <= text.count {
      let from = unsafe source + at
      let to = unsafe target + at / 4 &* 3
      at &+= 4
      let (a, b, c, d) = unsafe (value(from[0]), value(from[1]), value(from[2]), value(from[3]))
      seen |= a | b | c | d
      unsafe to[0] = UInt8(truncatingIfNeeded: a &<< 2 | b &>> 4)
      unsafe to[1] = UInt8(truncatingIfNeeded: b &<< 4 | c &>> 2)
      unsafe to[2] = UInt8(truncatingIfNeeded: c &<< 6 | d)
    }
    guard seen & invalid == 0 else { return nil }
    return decodeRest(text, from: at, into: room, at: at / 4 &* 3) ? count : nil
  }

  /// As `decode`, but for members of a JWK: the standard alphabet and correct padding are read too, and told.
  static func decodeLenient(_ text: Bytes, into room: Room) -> (count: Int, lenient: Bool)? {
    let bare = withoutPadding(text)
    let count = decodedCount(bare.count)
    guard bare.count & 3 != 1, count <= room.count else { return nil }
    var (bits, written, lenient): (UInt32, Int, Bool) = (0, 0, bare.count < text.count)
    var position = 0
    while let octet = bare.byte(at: position) {
      let urlSafe = standardToURL(octet)
      lenient = lenient || urlSafe != octet
      guard value(urlSafe) != invalid else { return nil }
      bits = bits &<< 6 | value(urlSafe)
      position &+= 1
      guard position & 3 != 1 else { continue }
      room.set(UInt8(truncatingIfNeeded: bits &>> bitsOver(position)), at: written)
      written &+= 1
    }
    let unused = bits & (1 &<< bitsOver(position) &- 1)
    return unused == 0 ? (count, lenient) : nil
  }

  /// Writes the text of `octets`: its length, or 0 where it does not fit.
  static func encode(_ octets: Bytes, into room: Room) -> Int {
    let count = octets.count / 3 &* 4 &+ (octets.count % 3 &* 4 &+ 2) / 3
    guard count <= room.count else { return 0 }
    var position = 0
    while position < count {
      let bit = position &* 6
      let high = UInt32(octets.byte(at: bit / 8) ?? 0)
      let low = UInt32(octets.byte(at: bit / 8 &+ 1) ?? 0)
      let value = (high &<< 8 | low) &>> UInt32(truncatingIfNeeded: 10 &- (bit & 7)) & 0x3f
      room.set(unsafe alphabet.utf8Start[Int(value)], at: position)
      position &+= 1
    }
    return count
  }

  /// Padding is read where it fills up a group of four, and nowhere else.
  private static func withoutPadding(_ text: Bytes) -> Bytes {
    guard text.count & 3 == 0, text.byte(at: text.count &- 1) == UInt8(ascii: "=") else { return text }
    let isDouble = text.byte(at: text.count &- 2) == UInt8(ascii: "=")
    return text.slice(from: 0, length: text.count &- (isDouble ? 2 : 1))
  }

  private static func standardToURL(_ octet: UInt8) -> UInt8 {
    switch octet {
    case UInt8(ascii: "+"): UInt8(ascii: "-")
    case UInt8(ascii: "/"): UInt8(ascii: "_")
    default: octet
    }
  }

  /// Of `count` characters' bits, how many fill no octet.
  private static func bitsOver(_ count: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: count &* 6) & 7
  }

  /// The last two or three characters, whose last bits stand for nothing and are zero.
  private static func decodeRest(_ text: Bytes, from start: Int, into room: Room, at position: Int) -> Bool {
    guard let first = text.byte(at: start), let second = text.byte(at: start &+ 1) else { return true }
    let third = text.byte(at: start &+ 2)
    let (a, b, c) = (value(first), value(second), value(third ?? zero))
    room.set(UInt8(truncatingIfNeeded: a &<< 2 | b &>> 4), at: position)
    guard third != nil else { return (a | b) & invalid == 0 && b & 0x0f == 0 }
    room.set(UInt8(truncatingIfNeeded: b &<< 4 | c &>> 2), at: position &+ 1)
    return (a | b | c) & invalid == 0 && c & 0x03 == 0
  }

  /// The bit that no value has.
  private static var invalid: UInt32 { 0x40 }

  private static var zero: UInt8 { UInt8(ascii: "A") }

  @inline(__always)
  private static func value(_ octet: UInt8) -> UInt32 {
    unsafe UInt32(values.utf8Start[Int(octet)])
  }

  private static let alphabet: StaticString = """
    ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_
    """

  /// The value of each octet; "@" where there is none.
  private static let values: StaticString = """
    @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@\u{3e}@@\
    \u{34}\u{35}\u{36}\u{37}\u{38}\u{39}\u{3a}\u{3b}\u{3c}\u{3d}@@@@@@\
    @\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}\u{9}\u{a}\u{b}\u{c}\u{d}\u{e}\
    \u{f}\u{10}\u{11}\u{12}\u{13}\u{14}\u{15}\u{16}\u{17}\u{18}\u{19}@@@@\u{3f}\
    @\u{1a}\u{1b}\u{1c}\u{1d}\u{1e}\u{1f}\u{20}\
    \u{21}\u{22}\u{23}\u{24}\u{25}\u{26}\u{27}\u{28}\
    \u{29}\u{2a}\u{2b}\u{2c}\u{2d}\u{2e}\u{2f}\u{30}\u{31}\u{32}\u{33}@@@@@\
    @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\
    @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
    """
}
