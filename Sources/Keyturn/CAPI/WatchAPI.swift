internal import CKeyturn
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
    unsafe out.pointee.size >= MemoryLayout<jwks_issuer_stats>.size && out.pointee.own <= 1
  else { return JWKS_INVALID_ARGUMENT }
  let counts = unsafe Counts(issuer.cache, isOwn: out.pointee.own != 0)
  counts.gather(issuer)
  let (now, wall) = (issuer.cache.steadyNow, issuer.cache.clock.now)
  ControlLock.with {
    unsafe out.pointee.fill(issuer.report(now: now, wall: wall))
    unsafe out.pointee.misses_pending = counts.tokens(issuer, Outcome(.pending as Missed))
    unsafe out.pointee.misses_throttled = counts.tokens(issuer, Outcome(.throttled as Missed))
    unsafe out.pointee.misses_listed = counts.tokens(issuer, Outcome(.listed as Missed))
    unsafe out.pointee.fill(counts, issuer)
    unsafe out.pointee.fill(issuer)
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

  /// An issuer has some troubles, and its cache the others.
  fileprivate mutating func fill(_ issuer: Issuer) {
    let (own, common) = unsafe (issuer.troubles, issuer.cache.engine.pointee.troubles)
    unsafe withUnsafeMutablePointer(to: &store_faults) { faults in
      unsafe withUnsafeMutablePointer(to: &store_troubles) { counts in
        let faults = unsafe Items(
          UnsafeMutableRawPointer(faults).assumingMemoryBound(to: UInt32.self), count: StoreTrouble.count)
        let counts = unsafe Items(
          UnsafeMutableRawPointer(counts).assumingMemoryBound(to: UInt64.self), count: StoreTrouble.count)
        for place in StoreTrouble.count.times {
          faults.set(UInt32(own.fault(at: place) | common.fault(at: place)), at: place)
          counts.set(own.count(at: place) &+ common.count(at: place), at: place)
        }
      }
    }
  }

  /// Before `own` and `reserved` are the ledger's words.
  fileprivate mutating func fill(_ counts: Counts, _ issuer: Issuer) {
    let stride = MemoryLayout<UInt64>.stride
    let start = MemoryLayout<jwks_issuer_stats>.size &- (Ledger.count &+ 1) &* stride
    unsafe withUnsafeMutableBytes(of: &self) { octets in
      guard let base = octets.baseAddress else { return }
      let words = unsafe Items((base + start).assumingMemoryBound(to: UInt64.self), count: Ledger.count)
      for position in Ledger.count.times { words.set(counts.number(issuer, position), at: position) }
    }
  }
}

@_cdecl("jwks_event_next") @implementation
public func jwks_event_next(_ cache: OpaquePointer?, _ out: UnsafeMutablePointer<jwks_event>?) -> Int32 {
  guard let cache = unsafe Cache(cache), let out = unsafe out,
    unsafe out.pointee.size >= MemoryLayout<jwks_event>.size
  else { return 0 }
  let (wall, steady) = (cache.clock.now, cache.steadyNow)
  let texts = unsafe Journal.Texts(
    issuer: room(&out.pointee.issuer, MemoryLayout.size(ofValue: out.pointee.issuer)),
    kid: room(&out.pointee.kid, MemoryLayout.size(ofValue: out.pointee.kid)),
    thumbprint: room(&out.pointee.thumbprint, MemoryLayout.size(ofValue: out.pointee.thumbprint)))
  guard let (event, dropped) = ControlLock.with({ unsafe cache.engine.pointee.journal.take(texts) }) else {
    return 0
  }
  unsafe out.pointee.kind = jwks_event_kind(rawValue: UInt32(event.kind.rawValue))
  unsafe out.pointee.reason = event.reason
  unsafe out.pointee.time = wall &- (steady &- event.time) / 1_000
  unsafe out.pointee.count = event.count
  unsafe out.pointee.removed = event.removed
  unsafe out.pointee.dropped = dropped
  unsafe out.pointee.name = eventName(Int(event.kind.rawValue))
  return 1
}

@unsafe private func room(_ place: UnsafeMutableRawPointer, _ size: Int) -> Room {
  unsafe Room(place.assumingMemoryBound(to: UInt8.self), count: size)
}

private func eventName(_ kind: Int) -> UnsafePointer<CChar> {
  unsafe text(
    kind &- 1,
    of: """
      issuer_added\0issuer_removed\0keys_changed\0disjoint_set\0keys_left_out\0private_key\0duplicate_kids\0\
      revoked_key\0fetch_failed\0recovered\0stale\0expired\0emptied_held\0emptied_obeyed\0regressed_held\0\
      misses_refused\0misses_rise\0revoked\0unrevoked\0end_near\0store_refused\0revocations_unknown\0\
      store_unwritten\0store_gone\0agent_silent\0unwatched\0store_sound\0
      """)
}

@_cdecl("jwks_store_fault_text") @implementation
public func jwks_store_fault_text(_ fault: jwks_store_fault) -> UnsafePointer<CChar>? {
  unsafe text(
    fault.rawValue <= StoreFault.noMemory.rawValue ? Int(fault.rawValue) : 0,
    of: """
      \0it is gone\0it is not whole\0it is of another release's form\0its owner, or who may write it, is not trusted\0\
      it is no regular file\0it is larger than it may be\0it holds more than it may\0it comes from the future\0\
      what it holds is not accepted here\0permission is denied\0there is no space left\0it is read-only\0\
      nobody answers\0the system has none left\0the system fails\0there is no memory left\0
      """)
}

/// One of several, each with its NUL.
@inline(never)
private func text(_ place: Int, of texts: StaticString) -> UnsafePointer<CChar> {
  var text = unsafe CString.of(texts)
  for _ in place.times { unsafe text += strlen(text) &+ 1 }
  return unsafe text
}
