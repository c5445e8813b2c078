import Testing

@testable import Keyturn

@Suite struct RefreshSettingsTests {
  @Test func theDefaultsAreSane() throws {
    try RefreshSettings().check()
  }

  @Test func aRehearsalInSecondsIsSane() throws {
    var quick = RefreshSettings()
    quick.minFreshness = 1_000
    quick.maxFreshness = 2_000
    quick.defaultFreshness = 1_000
    quick.hardLimit = 2_000
    quick.backoffBase = 50
    quick.backoffMax = 500
    quick.backoffMaxUnserved = 100
    quick.connectTimeout = 100
    quick.fetchTimeout = 200
    quick.lockTimeout = 600
    quick.demand.interval = 300
    quick.total.interval = 150
    quick.emptyHold = 1_000
    try quick.check()
  }

  /// H < F is among them.
  @Test(
    arguments: [
      (\RefreshSettings.minFreshness, 999, "min_freshness_ms"),
      (\.minFreshness, 3_600_001, "min_freshness_ms"),
      (\.maxFreshness, 604_800_001, "max_freshness_ms"), (\.defaultFreshness, 0, "default_freshness_ms"),
      (\.hardLimit, 604_800_001, "hard_limit_ms"), (\.hardLimit, 3_599_999, "hard_limit_ms"),
      (\.pinnedMaxAge, -1, "pinned_max_age_ms"), (\.staleWarning, 0, "stale_warning_ms"),
      (\.backoffBase, 9, "backoff_base_ms"), (\.backoffBase, 300_001, "backoff_base_ms"),
      (\.backoffMax, 3_600_001, "backoff_max_ms"), (\.backoffMaxUnserved, 0, "backoff_max_unserved_ms"),
      (\.maxRetryAfter, -1, "max_retry_after_ms"), (\.connectTimeout, 5_001, "connect_timeout_ms"),
      (\.fetchTimeout, 60_001, "fetch_timeout_ms"), (\.lockTimeout, 5_000, "lock_timeout_ms"),
      (\.demand.burst, 0, "demand_burst"), (\.demand.interval, 99, "demand_interval_ms"),
      (\.total.burst, 1, "total_burst"), (\.total.interval, .max, "total_interval_ms"),
      (\.keptForSchedule, -1, "kept_for_schedule"), (\.operators.burst, 101, "operator_burst"),
      (\.operators.interval, 0, "operator_interval_ms"), (\.refusedKids, 7, "refused_kids"),
      (\.refusedShort, 60_001, "refused_short_ms"), (\.refusedLong, -1, "refused_long_ms"),
      (\.maxWaiters, 0, "max_waiters"), (\.rekeyInterval, 0, "rekey_interval_ms"), (\.idle, 0, "idle_ms"),
      (\.rediscovery, 0, "rediscovery_ms"), (\.regression, -1, "regression_ms"),
      (\.emptyHold, -1, "empty_hold_ms"),
    ] as [(WritableKeyPath<RefreshSettings, Int64> & Sendable, Int64, String)])
  func whatIsNotSaneIsRefusedByName(
    _ path: WritableKeyPath<RefreshSettings, Int64> & Sendable, _ value: Int64, _ name: String
  ) {
    var settings = RefreshSettings()
    settings[keyPath: path] = value
    do throws(Fault) {
      try settings.check()
      Issue.record("\(name) is taken")
    } catch {
      #expect(error.status == .invalidOption)
      #expect(Bytes.of(error.option).text == name)
    }
  }
}

@Suite struct TokenBucketTests {
  private let rate = RefreshSettings.Rate(burst: 2, interval: 30_000)

  @Test func aBurstAndOneMoreEachInterval() {
    var bucket = TokenBucket.full(rate)
    let taken = stride(from: Int64(1_000), through: 61_000, by: 1).filter { bucket.take(rate, now: $0) }
    #expect(taken == [1_000, 1_001, 31_000, 61_000])
  }

  @Test func whatIsKeptIsThereForOthers() {
    var bucket = TokenBucket.full(rate)
    #expect(bucket.take(rate, keeping: 1, now: 0) == true)
    #expect(bucket.take(rate, keeping: 1, now: 0) == false)
    #expect(bucket.has(rate, now: 0))
    #expect(bucket.take(rate, now: 0) == true)
    #expect(!bucket.has(rate, now: 0))
    #expect(bucket.next(rate, now: 10) == 30_000)
    #expect(bucket.next(rate, now: 30_000) == 30_000)
  }

  @Test func itNeverHoldsMoreThanItsBurst() {
    var bucket = TokenBucket.full(rate)
    #expect(bucket.take(rate, now: 0) == true)
    let taken = (0..<5).filter { _ in bucket.take(rate, now: 100_000_000) }
    #expect(taken.count == 2)
  }

  /// A file that another machine's start left behind.
  @Test func aClockThatStandsBehindGivesNothing() {
    var bucket = TokenBucket.full(rate)
    #expect((0..<2).filter { _ in bucket.take(rate, now: 1_000_000) }.count == 2)
    #expect(bucket.take(rate, now: 5) == false)
    #expect(bucket.take(rate, now: 30_004) == false)
    #expect(bucket.take(rate, now: 30_005) == true)
    #expect(bucket.next(rate, now: .max) == .max)
  }

  @Test func aSmallerBurstHoldsForAFullBucketToo() {
    var bucket = TokenBucket.full(RefreshSettings.Rate(burst: 100, interval: 1))
    let taken = (0..<5).filter { _ in bucket.take(rate, now: 7) }
    #expect(taken.count == 2)
  }
}

@Suite struct BackoffTests {
  private let settings = RefreshSettings()

  private func waits(_ random: UInt64, servedUntil: Int64, retryAfter: Int64? = nil, count: Int = 9)
    -> [Int64]
  {
    var backoff = Backoff.none
    return (0..<count).map { _ in
      let time = RefreshTime(now: 1_000, random: random)
      backoff.fail(retryAfter: retryAfter, servedUntil: servedUntil, settings, time)
      return backoff.until - 1_000
    }
  }

  @Test func itDoublesUpToItsEndAndHalfOfItIsChance() {
    #expect(
      waits(0, servedUntil: .max) == [
        2_500, 5_000, 10_000, 20_000, 40_000, 80_000, 150_000, 150_000, 150_000,
      ])
    #expect(
      waits(.max, servedUntil: .max) == [
        4_999, 9_999, 19_999, 39_999, 79_999, 159_999, 299_999, 299_999, 299_999,
      ])
  }

  @Test func itIsShortWhileNothingIsServed() {
    #expect(waits(.max, servedUntil: .min).suffix(3) == [14_999, 14_999, 14_999])
    #expect(waits(0, servedUntil: .min).suffix(2) == [7_500, 7_500])
  }

  @Test func itGrowsShortWhenTheKeysEndMeanwhile() {
    #expect(waits(0, servedUntil: 21_000).last == 27_500)
  }

  @Test func anIssuersWishIsHeardWithinReason() {
    #expect(waits(0, servedUntil: .max, retryAfter: 60_000, count: 1) == [60_000])
    #expect(waits(0, servedUntil: .min, retryAfter: .max, count: 1) == [300_000])
    #expect(waits(0, servedUntil: .max, retryAfter: -5, count: 1) == [2_500])
  }

  @Test func manyFailuresOverflowNothing() {
    #expect(waits(.max, servedUntil: .max, count: 100_000).last == 299_999)
  }
}

@Suite struct RefusedKidsTests {
  private let key = HashKey(low: 1, high: 2)

  private func with(_ count: Int, _ body: (RefusedKids) -> Void) {
    var words = [UInt64](repeating: 0, count: count)
    words.withUnsafeMutableBufferPointer {
      body(RefusedKids(Items($0.baseAddress, count: $0.count), key: key))
    }
  }

  @Test func itRemembersForAsLongAsIsAsked() {
    with(RefusedKids.words(for: 1_024)) { kids in
      let hash = withBytes("kid-1") { kids.hash($0) }
      #expect(!kids.contains(hash, hold: 60_000, now: 1_000))
      kids.add(hash, now: 1_000)
      #expect(kids.contains(hash, hold: 5_000, now: 5_999))
      #expect(!kids.contains(hash, hold: 5_000, now: 6_000))
      #expect(kids.contains(hash, hold: 60_000, now: 60_999))
      kids.add(hash, now: 60_999)
      #expect(kids.contains(hash, hold: 5_000, now: 61_000))
      #expect(!withBytes("kid-2") { kids.contains(kids.hash($0), hold: 60_000, now: 61_000) })
      kids.clear()
      #expect(!kids.contains(hash, hold: 60_000, now: 61_000))
    }
  }

  @Test func aMillionKidsTakeNoMoreMemoryAndPushOutTheOldest() {
    with(RefusedKids.words(for: 1_024)) { kids in
      for number in 0..<1_000_000 {
        kids.add(
          SipHash.hash13(Bytes("k"), key: HashKey(low: UInt64(number), high: 3)), now: Int64(number / 100))
      }
      let kept = (900_000..<1_000_000).count {
        kids.contains(
          SipHash.hash13(Bytes("k"), key: HashKey(low: UInt64($0), high: 3)), hold: 60_000, now: 10_000)
      }
      #expect(kept > 1_000 && kept <= 1_024)
      let last = SipHash.hash13(Bytes("k"), key: HashKey(low: 999_999, high: 3))
      #expect(kids.contains(last, hold: 5_000, now: 10_000))
    }
  }

  @Test func itsMemoryIsAPowerOfTwo() {
    #expect([8, 9, 1_024, 1_025, .max].map { RefusedKids.words(for: $0) } == [8, 16, 1_024, 2_048, 65_536])
  }

  @Test func withoutMemoryNothingIsRemembered() {
    let kids = RefusedKids(.none, key: key)
    kids.add(5, now: 0)
    #expect(!kids.contains(5, hold: 60_000, now: 0))
  }
}

@Suite struct FlightQueueTests {
  private func with(_ count: Int, most: Int = 64, _ body: (inout FlightQueue) -> Void) {
    var sound = [FlightQueue.Entry](repeating: .init(), count: count)
    var failing = sound
    sound.withUnsafeMutableBufferPointer { sound in
      failing.withUnsafeMutableBufferPointer { failing in
        var queue = FlightQueue(
          Items(sound.baseAddress, count: count), failing: Items(failing.baseAddress, count: count),
          most: most)
        body(&queue)
      }
    }
  }

  @Test func whoWouldBeStaleFirstGoesFirst() {
    with(100, most: 1) { queue in
      for number in 0..<100 {
        #expect(queue.add(.init(issuer: UInt64(number), urgency: Int64(number * 37 % 101)), now: 0) == true)
      }
      #expect(queue.add(.init(), now: 0) == false)
      var order: [Int64] = []
      while let entry = queue.start() {
        order.append(entry.urgency)
        let second = queue.start()
        #expect(second?.issuer == nil)
        queue.finished(entry)
      }
      #expect(order.count == 100 && order == order.sorted())
      #expect(queue.inAir == 0 && queue.waiting == 0)
    }
  }

  @Test func thoseThatFailHaveAQuarterAndTheirTurn() {
    with(200) { queue in
      for number in 0..<100 {
        #expect(
          queue.add(
            .init(issuer: UInt64(number), isFailing: true, urgency: -Int64(number)), now: Int64(number))
            == true)
      }
      var started: [FlightQueue.Entry] = []
      while let entry = queue.start() { started.append(entry) }
      #expect(started.map(\.issuer) == Array(0..<16))
      for number in 100..<200 { #expect(queue.add(.init(issuer: UInt64(number)), now: 100) == true) }
      while let entry = queue.start() { started.append(entry) }
      #expect(queue.inAir == 64 && started.count { !$0.isFailing } == 48)
      queue.finished(started[0])
      let next = queue.start()
      #expect(next?.isFailing == false)
    }
  }

  @Test func thoseThatFailAreNotStarvedByTheOthers() {
    with(1_000) { queue in
      for number in 0..<500 { #expect(queue.add(.init(issuer: UInt64(number)), now: 0) == true) }
      for number in 0..<50 {
        #expect(queue.add(.init(issuer: UInt64(number), isFailing: true), now: 0) == true)
      }
      var failing = 0
      for _ in 0..<250 {
        guard let entry = queue.start() else { break }
        failing += entry.isFailing ? 1 : 0
        queue.finished(entry)
      }
      #expect(failing == 50)
    }
  }
}
