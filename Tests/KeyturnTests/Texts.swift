@testable import Keyturn

/// Octets of a Swift text for the length of a test.
func withBytes<Result>(_ text: String, _ body: (Bytes) throws -> Result) rethrows -> Result {
  var text = text
  return try text.withUTF8 { unsafe try body(Bytes($0.baseAddress, count: $0.count)) }
}

extension Bytes {
  var text: String {
    var octets: [UInt8] = []
    for position in 0..<count { octets.append(byte(at: position) ?? 0) }
    return String(decoding: octets, as: UTF8.self)
  }
}

/// Memory that a test may write in.
func withRoom<Result>(_ count: Int, _ body: (Room) throws -> Result) rethrows -> Result {
  var octets = [UInt8](repeating: 0xaa, count: count)
  return try octets.withUnsafeMutableBufferPointer { unsafe try body(Room($0.baseAddress, count: $0.count)) }
}
