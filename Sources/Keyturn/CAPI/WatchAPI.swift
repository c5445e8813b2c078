public import CKeyturnAPI

@_cdecl("jwks_issuer_tokens") @implementation
public func jwks_issuer_tokens(_ issuer: OpaquePointer?, _ status: jwt_status) -> UInt64 {
  tokens(unsafe Issuer(issuer)?.id, status)
}

@_cdecl("jwks_cache_tokens") @implementation
public func jwks_cache_tokens(_ cache: OpaquePointer?, _ status: jwt_status) -> UInt64 {
  tokens(unsafe Cache(cache)?.id, status)
}

private func tokens(_ owner: UInt64?, _ status: jwt_status) -> UInt64 {
  guard let owner, let outcome = Outcome(status) else { return 0 }
  return ControlLock.with { Readers.total(of: owner, outcome) }
}

extension Outcome {
  /// nil for a number that is no status: what else is counted is not asked for by number.
  init?(_ status: jwt_status) {
    guard status == JWT_OK || Status(rawValue: status.rawValue) != nil else { return nil }
    self.init(code: status.rawValue)
  }
}
