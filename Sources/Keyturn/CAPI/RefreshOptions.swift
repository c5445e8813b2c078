internal import CKeyturnAPI

/// Those options of an issuer that bound its refresh. What is not given is the default, lowered where one that is
/// given asks for it; `check` then refuses what is outside of its range.
extension RefreshSettings {
  @unsafe init(_ known: jwks_issuer_options) throws(Fault) {
    self.init()
    unsafe setTimeouts(known)
    unsafe setAges(known)
    unsafe setBackoff(known)
    unsafe setRates(known)
    unsafe setKids(known)
    honorMustRevalidate = try unsafe Options.flag(
      known.honor_must_revalidate, OptionName("honor_must_revalidate"))
    sameKidRekey = try unsafe Options.flag(known.same_kid_rekey, OptionName("same_kid_rekey"))
    unsafe set(known.rekey_interval_ms, &rekeyInterval)
    unsafe set(known.file_check_ms, &fileCheck)
    emptyAnswer = try unsafe RefreshSettings.emptyAnswer(known)
    try check()
  }

  @unsafe private mutating func setTimeouts(_ known: jwks_issuer_options) {
    unsafe set(known.fetch_timeout_ms, &fetchTimeout)
    connectTimeout = min(connectTimeout, fetchTimeout)
    unsafe set(known.connect_timeout_ms, &connectTimeout)
    lockTimeout = max(lockTimeout, 3 &* fetchTimeout)
    unsafe set(known.lock_timeout_ms, &lockTimeout)
  }

  @unsafe private mutating func setAges(_ known: jwks_issuer_options) {
    unsafe set(known.hard_limit_ms, &hardLimit)
    maxFreshness = min(maxFreshness, max(hardLimit, 1_000))
    unsafe set(known.max_freshness_ms, &maxFreshness)
    minFreshness = min(minFreshness, max(maxFreshness, 1_000))
    unsafe set(known.min_freshness_ms, &minFreshness)
    unsafe set(known.default_freshness_ms, &defaultFreshness)
    unsafe set(known.stale_warning_ms, &staleWarning)
    unsafe set(known.pinned_max_age_ms, &pinnedMaxAge)
    unsafe set(known.idle_ms, &idle)
    unsafe set(known.rediscovery_ms, &rediscovery)
    unsafe setOrOff(known.regression_ms, &regression)
    unsafe setOrOff(known.empty_hold_ms, &emptyHold)
  }

  @unsafe private mutating func setBackoff(_ known: jwks_issuer_options) {
    unsafe set(known.backoff_max_ms, &backoffMax)
    backoffBase = min(backoffBase, max(backoffMax, 10))
    unsafe set(known.backoff_base_ms, &backoffBase)
    unsafe set(known.backoff_max_unserved_ms, &backoffMaxUnserved)
    unsafe setOrOff(known.max_retry_after_ms, &maxRetryAfter)
  }

  @unsafe private mutating func setRates(_ known: jwks_issuer_options) {
    unsafe set(known.demand_burst, &demand.burst)
    unsafe set(known.demand_interval_ms, &demand.interval)
    unsafe set(known.total_burst, &total.burst)
    unsafe set(known.total_interval_ms, &total.interval)
    keptForSchedule = min(keptForSchedule, max(total.burst &- 1, 0))
    unsafe setOrOff(known.kept_for_schedule, &keptForSchedule)
    unsafe set(known.operator_burst, &operators.burst)
    unsafe set(known.operator_interval_ms, &operators.interval)
  }

  @unsafe private mutating func setKids(_ known: jwks_issuer_options) {
    unsafe set(known.refused_kids, &refusedKids)
    unsafe setOrOff(known.refused_long_ms, &refusedLong)
    refusedShort = min(refusedShort, max(refusedLong, 0))
    unsafe setOrOff(known.refused_short_ms, &refusedShort)
    unsafe set(known.max_waiters, &maxWaiters)
  }

  @unsafe private static func emptyAnswer(_ known: jwks_issuer_options) throws(Fault) -> EmptyAnswer {
    switch unsafe known.empty_set {
    case JWKS_EMPTY_DEFAULT: return unsafe known.use == JWKS_USE_JWT_SVID ? .obey : .hold
    case JWKS_EMPTY_HOLD where unsafe known.use != JWKS_USE_JWT_SVID: return .hold
    case JWKS_EMPTY_HOLD: throw OptionName("empty_set").refused("An empty SPIFFE bundle is obeyed.")
    case JWKS_EMPTY_OBEY: return .obey
    default: throw OptionName("empty_set").refused("It is no JWKS_EMPTY_ of this release.")
    }
  }
}

private func set(_ value: UInt32, _ setting: inout Int64) { set(Int64(value), &setting) }

@inline(never)
private func set(_ value: Int64, _ setting: inout Int64) {
  if value != 0 { setting = value }
}

/// Where none is a value of its own.
private func setOrOff(_ value: Int64, _ setting: inout Int64) {
  set(value, &setting)
  if value == Int64(KEYTURN_OFF) { setting = 0 }
}
