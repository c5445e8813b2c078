/// The three parts of a compact JWS, as slices of the token (RFC 7515 section 3.1).
struct CompactJWS {
  let header: Bytes
  let payload: Bytes
  let signature: Bytes
  /// Header, dot and payload stand side by side in the token already.
  let signingInput: Bytes

  static func split(_ token: Bytes) throws(Status) -> CompactJWS {
    guard !token.isEmpty else { throw .missing }
    let dot = UInt8(ascii: ".")
    guard let first = token.firstIndex(of: dot), first > 0,
      let second = token.firstIndex(of: dot, from: first &+ 1)
    else { throw .malformed }
    if let third = token.firstIndex(of: dot, from: second &+ 1) {
      throw hasFiveParts(token, third) ? .encrypted : .malformed
    }
    let jws = CompactJWS(
      header: token.slice(from: 0, length: first),
      payload: token.slice(from: first &+ 1, length: second &- first &- 1),
      signature: token.slice(from: second &+ 1),
      signingInput: token.slice(from: 0, length: second))
    guard !jws.signature.isEmpty else { throw .malformed }
    return jws
  }

  /// A compact JWE has five (RFC 7516 section 9).
  private static func hasFiveParts(_ token: Bytes, _ third: Int) -> Bool {
    let dot = UInt8(ascii: ".")
    guard let fourth = token.firstIndex(of: dot, from: third &+ 1) else { return false }
    return token.firstIndex(of: dot, from: fourth &+ 1) == nil
  }
}
