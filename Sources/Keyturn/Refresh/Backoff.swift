/// Failures in a row, and until when they keep an issuer from being asked.
struct Backoff: BitwiseCopyable {
  private(set) var failures: Int64 = 0
  private(set) var until: Int64 = .min

  static var none: Backoff { Backoff() }

  var isFailing: Bool { failures > 0 }

  func holdsBack(_ now: Int64) -> Bool { isFailing && now < until }

  /// One more failure. `served` is until when keys are served: from then on the wait is a short one.
  mutating func fail(
    retryAfter: Int64?, servedUntil served: Int64, _ settings: RefreshSettings, _ time: RefreshTime
  ) {
    failures = min(failures &+ 1, Backoff.mostFailures)
    let long = time.now &+ wait(settings.backoffMax, settings, time)
    let short = max(time.now, served) &+ wait(settings.backoffMaxUnserved, settings, time)
    let asked = max(0, min(retryAfter ?? 0, settings.maxRetryAfter))
    until = max(served < long ? min(long, short) : long, time.now &+ asked)
  }

  /// Half of it is certain, the other half chance, so that those who failed together do not return together.
  private func wait(_ cap: Int64, _ settings: RefreshSettings, _ time: RefreshTime) -> Int64 {
    let doublings = min(failures &- 1, 32)
    let whole = min(settings.backoffMax, min(cap, settings.backoffBase &<< doublings))
    return whole / 2 &+ time.spread(whole &- whole / 2)
  }

  /// As another process left it, or a machine that has since been started anew.
  func settled(_ settings: RefreshSettings, now: Int64) -> Backoff {
    var sane = self
    sane.failures = max(0, min(failures, Backoff.mostFailures))
    sane.until = min(until, now &+ max(settings.backoffMax, settings.maxRetryAfter))
    return sane
  }

  private static var mostFailures: Int64 { 1_000_000 }
}
