/// An absolute http or https URL (RFC 3986), as far as anybody here looks into it. Who it stands for is decided
/// by its host, so whatever two programs could read in two ways is no URL: a user, a backslash, odd characters.
struct HTTPURL {
  let text: Bytes
  let isSecure: Bool
  /// An IPv6 address with its brackets.
  let host: Bytes
  let port: Int64
  /// Path and query; empty, or from a '/' or '?' on.
  let path: Bytes

  static var longest: Int { 2_048 }

  init?(_ text: Bytes) {
    guard text.count <= HTTPURL.longest, HTTPURL.isPlain(text) else { return nil }
    let secure = Bytes("https://")
    let insecure = Bytes("http://")
    isSecure = text.slice(from: 0, length: secure.count).equalsIgnoringCase(secure)
    guard isSecure || text.slice(from: 0, length: insecure.count).equalsIgnoringCase(insecure) else {
      return nil
    }
    let start = isSecure ? secure.count : insecure.count
    var end = start
    while let octet = text.byte(at: end), octet != UInt8(ascii: "/"), octet != UInt8(ascii: "?") { end &+= 1 }
    guard let authority = HTTPURL.authority(text.slice(from: start, length: end &- start)) else { return nil }
    self.text = text
    host = authority.host
    port = authority.port ?? (isSecure ? 443 : 80)
    path = text.slice(from: end)
  }

  /// Before the path.
  var origin: Bytes { text.slice(from: 0, length: text.count &- path.count) }

  var hasQuery: Bool { path.firstIndex(of: UInt8(ascii: "?")) != nil }

  func hasOrigin(of other: HTTPURL) -> Bool {
    isSecure == other.isSecure && port == other.port && host.equalsIgnoringCase(other.host)
  }

  private static func authority(_ text: Bytes) -> (host: Bytes, port: Int64?)? {
    guard let end = hostEnd(text) else { return nil }
    let host = text.slice(from: 0, length: end)
    let rest = text.slice(from: end)
    guard !rest.isEmpty else { return (host, nil) }
    guard rest.byte(at: 0) == UInt8(ascii: ":"), rest.count <= 6, let port = rest.slice(from: 1).deltaSeconds,
      port >= 1, port <= 65_535
    else { return nil }
    return (host, port)
  }

  private static func hostEnd(_ text: Bytes) -> Int? {
    let isBracketed = text.byte(at: 0) == UInt8(ascii: "[")
    let bracket = text.firstIndex(of: UInt8(ascii: "]")).map { $0 &+ 1 }
    let end = isBracketed ? bracket : text.firstIndex(of: UInt8(ascii: ":"))
    let host = text.slice(from: 0, length: end ?? text.count)
    return isHost(host) ? host.count : nil
  }

  /// A name, an IPv4 address, or an IPv6 address in brackets.
  static func isHost(_ host: Bytes) -> Bool {
    guard host.byte(at: 0) == UInt8(ascii: "[") else { return isName(host) }
    let inside = host.slice(from: 1, length: host.count &- 2)
    return host.byte(at: host.count &- 1) == UInt8(ascii: "]") && IPv6Address(inside) != nil
  }

  private static func isName(_ host: Bytes) -> Bool {
    guard !host.isEmpty, host.count <= 253 else { return false }
    return host.consists { octet in
      switch octet {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }

  /// Of the characters that RFC 3986 knows, without '#'.
  private static func isPlain(_ text: Bytes) -> Bool {
    text.consists { octet in
      switch octet {
      case UInt8(ascii: "\""), UInt8(ascii: "#"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"),
        UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"):
        false
      default: octet > 0x20 && octet < 0x7f
      }
    }
  }
}
