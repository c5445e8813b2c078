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

@_cdecl("jwks_issuer_ready") @implementation
public func jwks_issuer_ready(_ issuer: OpaquePointer?) -> jwt_status {
  guard let issuer = unsafe Issuer(issuer) else { return JWKS_INVALID_ARGUMENT }
  let (now, wall) = (issuer.cache.steadyNow, issuer.cache.clock.now)
  return ControlLock.with { issuer.readiness(now: now, wall: wall) }?.code ?? JWT_OK
}

@_cdecl("jwks_issuer_stats_get") @implementation
public func jwks_issuer_stats_get(
  _ issuer: OpaquePointer?, _ out: UnsafeMutablePointer<jwks_issuer_stats>?
) -> jwt_status {
  guard let issuer = unsafe Issuer(issuer), let out = unsafe out,
    unsafe out.pointee.size >= MemoryLayout<jwks_issuer_stats>.size
  else { return JWKS_INVALID_ARGUMENT }
  let (now, wall) = (issuer.cache.steadyNow, issuer.cache.clock.now)
  ControlLock.with {
    unsafe out.pointee.fill(issuer.report(now: now, wall: wall))
    unsafe out.pointee.misses_pending = issuer.total(Outcome(.pending as Missed))
    unsafe out.pointee.misses_throttled = issuer.total(Outcome(.throttled as Missed))
    unsafe out.pointee.misses_listed = issuer.total(Outcome(.listed as Missed))
    unsafe out.pointee.fill(issuer.ledger)
  }
  return JWT_OK
}

extension jwks_issuer_stats {
  fileprivate mutating func fill(_ report: Issuer.Report) {
    state = jwks_issuer_state(rawValue: UInt32(report.state.rawValue))
    last_failure = jwks_fetch_result(rawValue: UInt32(report.lastFailure.rawValue))
    age_ms = report.age ?? -1
    fresh_ms = report.freshFor ?? -1
    served_ms = report.servedFor ?? -1
    next_fetch_ms = report.nextFetch ?? -1
    since_success_ms = report.sinceSuccess ?? -1
    since_failure_ms = report.sinceFailure ?? -1
    failures = UInt32(clamping: report.failures)
    waiters = UInt32(clamping: report.waiters)
    keys = UInt32(clamping: report.keys)
    revocations = UInt32(clamping: report.revocations)
  }

  /// Its end is the ledger's words.
  fileprivate mutating func fill(_ ledger: Ledger) {
    let start = MemoryLayout<jwks_issuer_stats>.size &- Ledger.count &* MemoryLayout<UInt64>.stride
    unsafe withUnsafeMutableBytes(of: &self) { octets in
      guard let base = octets.baseAddress else { return }
      let words = unsafe Items((base + start).assumingMemoryBound(to: UInt64.self), count: Ledger.count)
      for position in Ledger.count.times { words.set(ledger.number(at: position), at: position) }
    }
  }
}
