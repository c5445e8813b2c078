/// The bounds of one issuer's refresh, as docs/refresh.md tells them. Times are milliseconds; every one can
/// be short, so that a rehearsal of a day takes minutes.
struct RefreshSettings: BitwiseCopyable {
  /// How many, and how long until there is one more.
  struct Rate: BitwiseCopyable {
    var burst: Int64
    var interval: Int64
  }

  /// What becomes of an answer without a usable key.
  enum EmptyAnswer: UInt8, BitwiseCopyable {
    /// The keys before it stay, until it has been repeated for `emptyHold`.
    case hold
    case obey
  }

  var minFreshness: Int64 = 60_000
  var maxFreshness: Int64 = 3_600_000
  var defaultFreshness: Int64 = 300_000
  var hardLimit: Int64 = 86_400_000
  var honorMustRevalidate = false
  /// Of pinned keys; 0 is none.
  var pinnedMaxAge: Int64 = 0
  /// After one such time of staleness a warning is due, and again after each.
  var staleWarning: Int64 = 3_600_000

  var backoffBase: Int64 = 5_000
  var backoffMax: Int64 = 300_000
  /// While no key is served.
  var backoffMaxUnserved: Int64 = 15_000
  var maxRetryAfter: Int64 = 300_000

  var connectTimeout: Int64 = 2_000
  var fetchTimeout: Int64 = 5_000
  var lockTimeout: Int64 = 15_000

  var demand = Rate(burst: 2, interval: 30_000)
  var total = Rate(burst: 5, interval: 15_000)
  /// Of the total, what only the schedule may take.
  var keptForSchedule: Int64 = 1
  var operators = Rate(burst: 6, interval: 10_000)

  var refusedKids: Int64 = 1_024
  var refusedShort: Int64 = 5_000
  var refusedLong: Int64 = 60_000
  var maxWaiters: Int64 = 256

  var idle: Int64 = 86_400_000
  var rediscovery: Int64 = 86_400_000
  var regression: Int64 = 5_000
  var emptyAnswer = EmptyAnswer.hold
  var emptyHold: Int64 = 600_000
  var sameKidRekey = false
  var rekeyInterval: Int64 = 300_000
  var fileCheck: Int64 = 1_000
}

extension RefreshSettings {
  private static var second: Int64 { 1_000 }
  private static var hour: Int64 { 3_600_000 }
  private static var day: Int64 { 86_400_000 }

  /// Throws what is outside of its range, by the name of its option.
  func check() throws(Fault) {
    try checkAges()
    try checkBackoff()
    try checkTimeouts()
    try checkRates()
    try checkKids()
    try checkSources()
  }

  private func checkAges() throws(Fault) {
    let ages = RefreshSettings.second...7 &* RefreshSettings.day
    try RefreshSettings.check(minFreshness, ages, "min_freshness_ms")
    try RefreshSettings.check(maxFreshness, ages, "max_freshness_ms")
    try RefreshSettings.check(defaultFreshness, ages, "default_freshness_ms")
    try RefreshSettings.check(hardLimit, ages, "hard_limit_ms")
    guard minFreshness <= maxFreshness else {
      throw .option("min_freshness_ms", "It is larger than max_freshness_ms.")
    }
    guard hardLimit >= maxFreshness else {
      throw .option(
        "hard_limit_ms", "It is smaller than max_freshness_ms: keys would end while they are fresh.")
    }
    try RefreshSettings.check(pinnedMaxAge, 0...366 &* RefreshSettings.day, "pinned_max_age_ms")
    try RefreshSettings.check(staleWarning, RefreshSettings.second...RefreshSettings.day, "stale_warning_ms")
  }

  private func checkBackoff() throws(Fault) {
    try RefreshSettings.check(backoffBase, 10...RefreshSettings.hour, "backoff_base_ms")
    try RefreshSettings.check(backoffMax, 10...RefreshSettings.hour, "backoff_max_ms")
    try RefreshSettings.check(backoffMaxUnserved, 10...RefreshSettings.hour, "backoff_max_unserved_ms")
    guard backoffBase <= backoffMax else {
      throw .option("backoff_base_ms", "It is larger than backoff_max_ms.")
    }
    try RefreshSettings.check(maxRetryAfter, 0...RefreshSettings.hour, "max_retry_after_ms")
  }

  private func checkTimeouts() throws(Fault) {
    try RefreshSettings.check(fetchTimeout, 10...60 &* RefreshSettings.second, "fetch_timeout_ms")
    try RefreshSettings.check(connectTimeout, 10...60 &* RefreshSettings.second, "connect_timeout_ms")
    guard connectTimeout <= fetchTimeout else {
      throw .option("connect_timeout_ms", "It is larger than fetch_timeout_ms.")
    }
    try RefreshSettings.check(lockTimeout, 20...300 &* RefreshSettings.second, "lock_timeout_ms")
    guard lockTimeout > fetchTimeout else {
      throw .option("lock_timeout_ms", "It is not larger than fetch_timeout_ms: two would fetch at once.")
    }
  }

  private func checkRates() throws(Fault) {
    let intervals = 100...RefreshSettings.hour
    try RefreshSettings.check(demand.burst, 1...100, "demand_burst")
    try RefreshSettings.check(demand.interval, intervals, "demand_interval_ms")
    try RefreshSettings.check(keptForSchedule, 0...10, "kept_for_schedule")
    try RefreshSettings.check(total.burst, 1...1_000, "total_burst")
    try RefreshSettings.check(total.interval, intervals, "total_interval_ms")
    guard total.burst > keptForSchedule else {
      throw .option("total_burst", "Nothing of it is left beside kept_for_schedule.")
    }
    try RefreshSettings.check(operators.burst, 1...100, "operator_burst")
    try RefreshSettings.check(operators.interval, intervals, "operator_interval_ms")
  }

  private func checkKids() throws(Fault) {
    try RefreshSettings.check(refusedKids, 8...65_536, "refused_kids")
    try RefreshSettings.check(refusedShort, 0...RefreshSettings.hour, "refused_short_ms")
    try RefreshSettings.check(refusedLong, 0...RefreshSettings.hour, "refused_long_ms")
    guard refusedShort <= refusedLong else {
      throw .option("refused_short_ms", "It is larger than refused_long_ms.")
    }
    try RefreshSettings.check(maxWaiters, 1...65_536, "max_waiters")
    try RefreshSettings.check(
      rekeyInterval, RefreshSettings.second...RefreshSettings.day, "rekey_interval_ms")
  }

  private func checkSources() throws(Fault) {
    try RefreshSettings.check(idle, RefreshSettings.second...366 &* RefreshSettings.day, "idle_ms")
    try RefreshSettings.check(
      rediscovery, RefreshSettings.second...30 &* RefreshSettings.day, "rediscovery_ms")
    try RefreshSettings.check(regression, 0...RefreshSettings.hour, "regression_ms")
    try RefreshSettings.check(emptyHold, 0...7 &* RefreshSettings.day, "empty_hold_ms")
    try RefreshSettings.check(fileCheck, 100...RefreshSettings.hour, "file_check_ms")
  }

  private static func check(_ value: Int64, _ range: ClosedRange<Int64>, _ option: StaticString) throws(Fault)
  {
    guard range.contains(value) else {
      throw .option(option, "It is outside of the range that keyturn.h states.")
    }
  }
}

extension Fault {
  fileprivate static func option(_ name: StaticString, _ sentence: StaticString) -> Fault {
    Fault(.invalidOption, sentence, option: name)
  }
}
