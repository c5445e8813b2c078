/// What the two libraries hold addresses against: this one, which reads them in URLs, and the fetcher, which
/// connects to them.
struct IPv4Address {
  let word: UInt32

  init(_ word: UInt32) { self.word = word }

  /// Not of the IANA special-purpose registry (RFC 6890), multicast or reserved.
  var isPublic: Bool {
    switch word &>> 24 {
    case 0, 10, 127, 224...255: false
    case 100: word &>> 22 != 0b01_1001_0001  // 100.64.0.0/10
    case 169: word &>> 16 != 0xa9fe
    case 172: word &>> 20 != 0xac1
    case 192: word &>> 16 != 0xc0a8 && word &>> 8 != 0xc0_0000 && word &>> 8 != 0xc0_0002
    case 198: word &>> 17 != 0xc612 &>> 1 && word &>> 8 != 0xc6_3364
    case 203: word &>> 8 != 0xcb_0071
    default: true
    }
  }
}

struct IPv6Address {
  let high: UInt64
  let low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Global unicast, and nothing else; what carries an IPv4 address leads where that does.
  var isPublic: Bool {
    let isMapped = high == 0 && low &>> 32 == 0xffff
    let isTranslated = high == 0x0064_ff9b_0000_0000 && low &>> 32 == 0  // RFC 6052 section 2.1
    if isMapped || isTranslated { return IPv4Address(UInt32(truncatingIfNeeded: low)).isPublic }
    if high &>> 48 == 0x2002 {  // 6to4, RFC 3056
      return IPv4Address(UInt32(truncatingIfNeeded: high &>> 16)).isPublic
    }
    let isOfProtocols = high &>> 41 == 0x2001_0000 &>> 9  // 2001::/23, with Teredo
    let isOfDocuments = high &>> 32 == 0x2001_0db8 || high &>> 44 == 0x3fff0
    return high &>> 61 == 0b001 && !isOfProtocols && !isOfDocuments
  }
}
