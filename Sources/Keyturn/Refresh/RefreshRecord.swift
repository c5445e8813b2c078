/// What processes that share a store agree on for one issuer: plain, of one layout, without a pointer. Who
/// holds the issuer's lock reads it, decides, and writes it back.
struct RefreshRecord: BitwiseCopyable {
  /// The key set in force.
  struct Accepted: BitwiseCopyable {
    /// When the flight began whose answer was the last to bring or confirm it: its age counts from here.
    var began: Int64
    var freshness: Int64
    /// At which age nothing of it is accepted any more.
    var limit: Int64
    /// Of what the issuer published, so that the same is known again.
    var digest: UInt64
    /// Unix seconds by the issuer's clock, where it said; the newest of its answers.
    var generated: Int64?
  }

  /// Answers that are not obeyed unless they are repeated: alike, so many, and since when.
  struct Repeated: BitwiseCopyable {
    var digest: UInt64 = 0
    var count: Int64 = 0
    var first: Int64 = 0
    var last: Int64 = 0

    static var none: Repeated { Repeated() }

    mutating func add(_ digest: UInt64, now: Int64) {
      if count == 0 || digest != self.digest { self = Repeated(digest: digest, count: 0, first: now) }
      count = min(count &+ 1, 1_000_000)
      last = now
    }

    var span: Int64 { last &- first }
  }

  var demand: TokenBucket
  var total: TokenBucket
  var operators: TokenBucket
  var backoff = Backoff.none
  var accepted: Accepted?
  var emptied = Repeated.none
  var regressed = Repeated.none
  /// When discovery last said where the keys are, and whether they have gone from there since.
  var discovered: Int64?
  var isGone = false
  var rekeyed: Int64?
  /// When the last flight began, by whichever process.
  var lastFlight: Int64 = .min

  init(_ settings: RefreshSettings) {
    demand = .full(settings.demand)
    total = .full(settings.total)
    operators = .full(settings.operators)
  }

  /// As it may be believed now: nothing in it lies ahead, however it came there. Buckets see to themselves.
  func settled(_ settings: RefreshSettings, now: Int64) -> RefreshRecord {
    var sane = self
    sane.backoff = backoff.settled(settings, now: now)
    sane.accepted = accepted?.settled(settings, now: now)
    sane.emptied = emptied.settled(now)
    sane.regressed = regressed.settled(now)
    sane.discovered = discovered.map { min($0, now) }
    sane.rekeyed = rekeyed.map { min($0, now) }
    sane.lastFlight = min(lastFlight, now)
    return sane
  }
}

extension RefreshRecord.Accepted {
  func settled(_ settings: RefreshSettings, now: Int64) -> RefreshRecord.Accepted {
    var sane = self
    sane.began = min(began, now)
    sane.freshness = settings.clampFreshness(freshness)
    sane.limit = max(0, min(limit, settings.hardLimit))
    return sane
  }

  func isServed(_ now: Int64) -> Bool { now < began &+ limit }
}

extension RefreshRecord.Repeated {
  fileprivate func settled(_ now: Int64) -> RefreshRecord.Repeated {
    var sane = self
    sane.last = min(last, now)
    sane.first = min(first, sane.last)
    return sane
  }
}
