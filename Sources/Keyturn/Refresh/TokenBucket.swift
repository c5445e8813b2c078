/// So many at once, and one more after each interval. Plain, so that processes can share it in a file, and
/// read with care: what another wrote, or what a restart of the machine left behind, opens nothing.
struct TokenBucket: BitwiseCopyable {
  private(set) var tokens: Int64
  /// Since when the next one has been growing.
  private(set) var since: Int64

  static func full(_ rate: RefreshSettings.Rate) -> TokenBucket {
    TokenBucket(tokens: rate.burst, since: .min)
  }

  /// Takes one if at least one more than `kept` is there.
  mutating func take(_ rate: RefreshSettings.Rate, keeping kept: Int64 = 0, now: Int64) -> Bool {
    grow(rate, now)
    guard tokens > kept else { return false }
    tokens &-= 1
    return true
  }

  /// For what was done already: what is not there is owed.
  mutating func charge(_ count: Int64, _ rate: RefreshSettings.Rate, now: Int64) {
    grow(rate, now)
    tokens = max(TokenBucket.mostOwed, tokens &- min(count, 1_000))
  }

  func spare(_ rate: RefreshSettings.Rate, keeping kept: Int64, now: Int64) -> Int64 {
    var later = self
    later.grow(rate, now)
    return max(0, later.tokens &- kept)
  }

  private static var mostOwed: Int64 { -16 }

  func has(_ rate: RefreshSettings.Rate, now: Int64) -> Bool {
    var later = self
    later.grow(rate, now)
    return later.tokens > 0
  }

  /// When one more than `kept` will be there; not before the next has grown.
  mutating func next(_ rate: RefreshSettings.Rate, keeping kept: Int64 = 0, now: Int64) -> Int64 {
    grow(rate, now)
    return tokens > kept ? now : since &+ (kept &- tokens &+ 1) &* rate.interval
  }

  private mutating func grow(_ rate: RefreshSettings.Rate, _ now: Int64) {
    tokens = max(TokenBucket.mostOwed, min(tokens, rate.burst))
    guard since != .min, tokens < rate.burst else { return fill(rate, now) }
    since = min(since, now)
    let (waited, isLong) = now.subtractingReportingOverflow(since)
    let grown = isLong ? rate.burst : waited / max(1, rate.interval)
    guard grown < rate.burst &- tokens else { return fill(rate, now) }
    tokens &+= grown
    since &+= grown &* rate.interval
  }

  private mutating func fill(_ rate: RefreshSettings.Rate, _ now: Int64) {
    tokens = rate.burst
    since = now
  }
}
