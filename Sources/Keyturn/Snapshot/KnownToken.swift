/// What is true for good of a token that was verified: under which policy, by which key, and what must be looked at anew
/// each time. Nothing here says that it is valid now.
struct KnownToken: BitwiseCopyable {
  /// Numbers of `Serial`, so that they name nothing else when what they name has gone.
  let policy: UInt64
  let key: UInt64
  /// The place among the policy's issuers.
  let issuer: Int
  /// nil for a token without kid.
  let kid: UInt64?
  let algorithm: Algorithm
  /// How long its text is; behind it stand header and payload, decoded.
  let text: Int
  let header: Int
  let payload: Int
  /// The policy's leeway is in both.
  let validFrom: Int64
  let validUntil: Int64
  let expiry: Int64
  let issued: NumericDate?
  /// By which it could be revoked: hashes of the key's thumbprint and kid, of jti and sub; 0 for none.
  let names: InlineArray<4, UInt64>

  func isInTime(_ now: Int64) -> Bool {
    #if KEYTURN_MUTANT_TOKEN_UNTIMED  // what the tokens suite must catch, like the two below
      return true
    #else
      return now >= validFrom && now < validUntil
    #endif
  }

  /// The key that verified it, if that is still the one that would.
  func key(in keys: KeySet, at now: @autoclosure () -> Int64) -> Key? {
    guard let position = keys.only(key, kid: kid) else { return nil }
    guard !keys.hasLeftovers || keys.isTrusted(position, at: now()) else { return nil }
    return keys.entry(position).key
  }

  func isRevoked(by revocations: Revocations, at now: Int64) -> Bool {
    #if KEYTURN_MUTANT_TOKEN_UNREVOKED
      return false
    #else
      for place in names.count.times where names[place] != 0 {
        if revocations.revoke(hash: names[place], at: now) { return true }
      }
      return revocations.revokeIssue(at: issued, at: now)
    #endif
  }
}
