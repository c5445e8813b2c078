/// Whether a host may be on the public network, by its name alone: what stands for this machine, or for a
/// private or link-local network, is not asked because an issuer says so.
enum HostAddress {
  static func isPublic(_ host: Bytes) -> Bool {
    if host.byte(at: 0) == UInt8(ascii: "[") {
      return IPv6Address(host.slice(from: 1, length: host.count &- 2))?.isPublic ?? false
    }
    let isRooted = host.byte(at: host.count &- 1) == UInt8(ascii: ".")
    let name = isRooted ? host.slice(from: 0, length: host.count &- 1) : host
    guard !isLocalhost(name) else { return false }
    guard endsInNumber(name) else { return !name.isEmpty }
    return IPv4Address(name)?.isPublic ?? false
  }

  private static func isLocalhost(_ name: Bytes) -> Bool {
    let local = Bytes("localhost")
    guard name.count >= local.count else { return false }
    let before = name.count &- local.count
    guard name.slice(from: before).equalsIgnoringCase(local) else { return false }
    return before == 0 || name.byte(at: before &- 1) == UInt8(ascii: ".")
  }

  /// Then it is read as an IPv4 address, also in forms that only some resolvers know: 127.1, 0x7f000001.
  private static func endsInNumber(_ name: Bytes) -> Bool {
    var start = name.count
    while start > 0, name.byte(at: start &- 1) != UInt8(ascii: ".") { start &-= 1 }
    let label = name.slice(from: start)
    let isHexadecimal = label.slice(from: 0, length: 2).equalsIgnoringCase(Bytes("0x"))
    return label.deltaSeconds != nil || isHexadecimal
  }
}

extension IPv4Address {
  /// Four decimal numbers, in the one form that all read alike.
  init?(_ text: Bytes) {
    var rest = text
    var word: UInt32 = 0
    for number in 4.times {
      let end = number == 3 ? rest.count : rest.firstIndex(of: UInt8(ascii: ".")) ?? rest.count
      let digits = rest.slice(from: 0, length: end)
      guard let value = digits.deltaSeconds, value <= 255,
        digits.count == 1 || digits.byte(at: 0) != UInt8(ascii: "0")
      else { return nil }
      word = word &<< 8 | UInt32(truncatingIfNeeded: value)
      rest = rest.slice(from: end &+ 1)
    }
    self.init(word)
  }

  fileprivate var bits: UInt64 { UInt64(word) }
}

extension IPv6Address {
  /// RFC 4291 section 2.2, without a zone.
  init?(_ text: Bytes) {
    var head = Groups()
    guard let gap = IPv6Address.gap(text) else {
      guard head.read(text), head.count == 8 else { return nil }
      self.init(high: head.high, low: head.low)
      return
    }
    var tail = Groups()
    let before = text.slice(from: 0, length: gap)
    let after = text.slice(from: gap &+ 2)
    guard before.isEmpty || head.read(before), after.isEmpty || tail.read(after), head.count &+ tail.count < 8
    else { return nil }
    for _ in (8 &- head.count).times { head.shift(0) }
    self.init(high: head.high | tail.high, low: head.low | tail.low)
  }

  private static func gap(_ text: Bytes) -> Int? {
    for position in text.count.times where text.slice(from: position, length: 2) == "::" { return position }
    return nil
  }

  private struct Groups {
    var count = 0
    var high: UInt64 = 0
    var low: UInt64 = 0

    mutating func shift(_ group: UInt64) {
      high = high &<< 16 | low &>> 48
      low = low &<< 16 | group
    }

    mutating func read(_ text: Bytes) -> Bool {
      var rest = text
      while count < 8 {
        let end = rest.firstIndex(of: UInt8(ascii: ":"))
        let group = rest.slice(from: 0, length: end ?? rest.count)
        if end == nil, let address = IPv4Address(group) {
          shift(address.bits &>> 16)
          shift(address.bits & 0xffff)
          count &+= 2
          return count <= 8
        }
        guard let value = group.hexadecimal else { return false }
        shift(value)
        count &+= 1
        guard let end else { return true }
        rest = rest.slice(from: end &+ 1)
      }
      return false
    }
  }
}

extension Bytes {
  /// One to four digits.
  fileprivate var hexadecimal: UInt64? {
    guard count >= 1, count <= 4 else { return nil }
    var value: UInt64 = 0
    for position in count.times {
      let octet = byte(at: position) ?? 0
      switch octet {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value &<< 4 | UInt64(octet &- UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"):
        value = value &<< 4 | UInt64(octet &- UInt8(ascii: "a") &+ 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"):
        value = value &<< 4 | UInt64(octet &- UInt8(ascii: "A") &+ 10)
      default: return nil
      }
    }
    return value
  }
}
