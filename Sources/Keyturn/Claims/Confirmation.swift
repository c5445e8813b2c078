/// Tokens that are bound to a key of their presenter (RFC 7800).
enum Confirmation {
  /// A bound token is not a bearer token: somebody must check the binding.
  static func check(_ cnf: JSONValue?, byHost: Bool) throws(Status) {
    guard let cnf else { return }
    guard cnf.kind == .object else { throw .claimType }
    guard byHost else { throw .confirmationRequired }
  }

  /// The SHA-256 of the client's certificate that the token names (RFC 8705 section 3.1), in Base64url.
  static func certificate(of claims: JSONValue) -> JSONString? {
    claims.member(Bytes("cnf"))?.member(Bytes("x5t#S256"))?.string
  }

  /// Compared in constant time, so that nobody finds out a digest octet by octet.
  static func isDigest(_ named: JSONString, of digest: Bytes, _ shadow: JSONShadow) -> Bool {
    var storage = InlineArray<32, UInt8>(repeating: 0)
    return storage.withRoom { room in
      guard let count = Base64URL.decode(shadow.plain(named), into: room) else { return false }
      return room.bytes(count).equalsInConstantTime(digest)
    }
  }
}
