/// A SPIFFE ID: "spiffe://", a trust domain, and a path of plain segments (SPIFFE-ID section 2).
enum SPIFFEID {
  static func isOf(trustDomain: Bytes, _ id: Bytes) -> Bool {
    let scheme = Bytes("spiffe://")
    guard id.count <= 2_048, id.hasPrefix(scheme) else { return false }
    let rest = id.slice(from: scheme.count)
    let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.count
    return rest.slice(from: 0, length: end) == trustDomain && isTrustDomain(trustDomain)
      && isPath(rest.slice(from: end))
  }

  static func isTrustDomain(_ name: Bytes) -> Bool {
    guard !name.isEmpty, name.count <= 255 else { return false }
    for position in name.count.times {
      switch name.byte(at: position) ?? 0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        continue
      default: return false
      }
    }
    return true
  }

  private static func isPath(_ path: Bytes) -> Bool {
    var rest = path
    while !rest.isEmpty {
      let segment = rest.slice(from: 1)
      let end = segment.firstIndex(of: UInt8(ascii: "/")) ?? segment.count
      guard isSegment(segment.slice(from: 0, length: end)) else { return false }
      rest = segment.slice(from: end)
    }
    return true
  }

  private static func isSegment(_ segment: Bytes) -> Bool {
    guard !segment.isEmpty, !(segment == "."), !(segment == "..") else { return false }
    for position in segment.count.times {
      switch segment.byte(at: position) ?? 0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        continue
      default: return false
      }
    }
    return true
  }
}
