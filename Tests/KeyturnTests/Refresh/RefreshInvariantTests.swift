// The invariants of the refresh, each on a simulated clock with hostile input, each with what was exercised,
// and each with faults that must turn it red. A check returns the violations it has seen.
import Testing

@testable import Keyturn

/// What a check has seen. Nothing seen is a violation, too.
struct Findings {
  var violations: [String] = []

  mutating func require(_ holds: Bool, _ what: @autoclosure () -> String) {
    if !holds, violations.count < 5 { violations.append(what()) }
  }
}

private let minute: Int64 = 60_000
private let hour: Int64 = 3_600_000
private let day: Int64 = 86_400_000

private func bent(_ change: (inout RefreshSettings) -> Void) -> RefreshSettings {
  var settings = RefreshSettings()
  change(&settings)
  return settings
}

@Suite struct RefreshInvariantTests {
  // MARK: - 1

  static func requestsAreBounded(
    _ settings: RefreshSettings, _ fault: EngineFault, seeds: UInt64 = 1
  ) -> Findings {
    var findings = Findings()
    for seed in 1...seeds {
      let world = Simulation(seed: seed, fault: fault)
      world.add(settings, source: .discovery) { world, _ in
        var reply: Reply
        switch world.chance.below(4) {
        case 0: reply = .fails()
        case 1: reply = .gone
        case 2: reply = .keys([1, world.chance.below(9)], freshness: 1_000)
        default: reply = .keys([1], freshness: 1_000)
        }
        reply.requests = 1 + world.chance.below(4)
        return reply
      }
      world.every(1_000) { $0.token(0, kid: 1_000 + $0.chance.below(1_000_000)) }
      world.run(for: 3 * hour)
      let times = world.requests.filter { $0.reason != .byOperator }.map(\.time)
      findings.require(times.most(in: minute) <= 9, "\(times.most(in: minute)) requests in a minute")
      findings.require(times.most(in: hour) <= 245, "\(times.most(in: hour)) requests in an hour")
      findings.require(times.count > 300 && times.most(in: minute) >= 8, "only \(times.count) requests")
    }
    return findings
  }

  static func demandIsBounded(_ settings: RefreshSettings) -> Findings {
    var findings = Findings()
    let world = Simulation()
    world.add(settings) { _, _ in .keys([1]) }
    world.every(100) { $0.token(0, kid: 1_000 + $0.chance.below(1_000_000)) }
    world.run(for: hour)
    let times = world.requests.filter { $0.reason == .missingKid }.map(\.time)
    findings.require(times.most(in: minute) <= 4, "\(times.most(in: minute)) demand flights in a minute")
    findings.require(times.count > 100, "only \(times.count) demand flights")
    return findings
  }

  @Test func invariant1_requestsOfOneIssuerAreBounded() {
    #expect(Self.requestsAreBounded(RefreshSettings(), .none, seeds: 3).violations == [])
    #expect(Self.demandIsBounded(RefreshSettings()).violations == [])
  }

  @Test func invariant1_isSeenToBreak() {
    #expect(Self.requestsAreBounded(RefreshSettings(), .countsNoFurtherRequest).violations != [])
    #expect(Self.requestsAreBounded(bent { $0.total.burst = 8 }, .none).violations != [])
    #expect(Self.requestsAreBounded(bent { $0.total.interval = 10_000 }, .none).violations != [])
    #expect(Self.demandIsBounded(bent { $0.demand.interval = 15_000 }).violations != [])
  }

  // MARK: - 2

  static func flightsAreAlone(_ fault: EngineFault) -> Findings {
    var findings = Findings()
    let settings = RefreshSettings()
    let world = Simulation(fault: fault)
    let store = world.addStore(settings)
    for _ in 0..<8 {
      world.add(settings, store: store) { world, _ in
        world.chance.below(3) == 0
          ? .fails(delay: world.chance.within(10...4_900))
          : .keys([1], freshness: minute, delay: world.chance.within(10...4_900))
      }
    }
    let other = world.add { _, _ in .keys([1]) }
    world.every(500) { $0.token($0.chance.below(8), kid: 1_000 + $0.chance.below(1_000_000)) }
    world.run(for: 2 * hour)
    let flights = world.airTimes.filter { $0.node != other }.sorted { $0.from < $1.from }
    for (one, next) in zip(flights, flights.dropFirst()) {
      findings.require(next.from >= one.to, "flights of \(one.node) and \(next.node) overlap")
    }
    let times = world.requests.filter { $0.node != other }.map(\.time)
    findings.require(
      times.most(in: minute) <= 9, "\(times.most(in: minute)) requests of eight processes in a minute")
    findings.require(
      Set(flights.map(\.node)).count > 4 && flights.count > 200, "only \(flights.count) flights")
    let others = world.requests.filter { $0.node == other }
    findings.require(
      others.allSatisfy { $0.reason == .start || $0.reason == .schedule }, "a miss crossed over")
    findings.require((28...34).contains(others.count), "\(others.count) refreshes of the quiet issuer")
    return findings
  }

  @Test func invariant2_neverTwoFlightsAtOnce() {
    #expect(Self.flightsAreAlone(.none).violations == [])
  }

  @Test func invariant2_isSeenToBreak() {
    #expect(Self.flightsAreAlone(.ignoresTheLock).violations != [])
  }

  /// A stopped process holds the others back for 15 s, and no longer.
  @Test func invariant2_aStoppedHolderHoldsNobodyBack() {
    let settings = RefreshSettings()
    let world = Simulation()
    let store = world.addStore(settings)
    for _ in 0..<4 { world.add(settings, store: store) { _, _ in .keys([1], delay: 1_000) } }
    world.run(for: 5_000)
    world.token(0, kid: 2)
    world.run(for: 500)
    #expect(world.stores[store].holder == 0)
    world.nodes[0].isStopped = true
    let stopped = world.now
    world.token(1, kid: 2)
    #expect(world.nodes[1].state.flight?.isElsewhere == true)
    world.run(for: 20_000)
    let next = world.requests.first { $0.node != 0 && $0.time > stopped }
    #expect(next.map { $0.time - stopped <= 15_000 } ?? false)
    #expect(world.nodes[1].state.state(settings, now: world.now) == .fresh)
  }

  // MARK: - 3

  static func removedKeysLeave(_ settings: RefreshSettings, empties: Bool, dies: Bool) -> Findings {
    var findings = Findings()
    var seen = 0
    for seed in UInt64(1)...40 {
      let world = Simulation(seed: seed)
      let stated = [15_000, 60_000, 300_000, 2_000_000, 3_283_200_000][Int(seed) % 5] as Int64
      let removal = world.now + world.chance.within(hour...2 * hour)
      let freshness = RefreshSettings().clampFreshness(stated)
      world.add(settings) { world, _ in
        guard world.now >= removal else { return .keys([1, 2], freshness: stated) }
        return dies ? .hangs : .keys(empties ? [] : [2], freshness: stated)
      }
      let bound = dies ? day : empties ? 10 * minute + 2 * freshness : freshness * 9 / 10 + 5_000
      world.at(removal + bound) { world in
        world.token(0, kid: 1)
        seen += 1
      }
      world.every(hour) { $0.token(0, kid: 2) }  // else it is idle
      world.onOutcome = { _, kid, since, outcome in
        findings.require(
          kid == 2 || since < removal + bound || outcome != .accepted, "trusted \(bound) ms after its removal"
        )
      }
      world.run(for: 2 * hour + bound + minute)
    }
    findings.require(seen == 40, "only \(seen) removals")
    return findings
  }

  @Test func invariant3_aRemovedKeyIsUntrustedInTime() {
    #expect(Self.removedKeysLeave(RefreshSettings(), empties: false, dies: false).violations == [])
    #expect(Self.removedKeysLeave(RefreshSettings(), empties: true, dies: false).violations == [])
    #expect(Self.removedKeysLeave(RefreshSettings(), empties: false, dies: true).violations == [])
  }

  @Test func invariant3_isSeenToBreak() {
    let unclamped = bent { $0.maxFreshness = 7 * day }
    #expect(Self.removedKeysLeave(unclamped, empties: false, dies: false).violations != [])
    let stubborn = bent { $0.emptyHold = day }
    #expect(Self.removedKeysLeave(stubborn, empties: true, dies: false).violations != [])
    let trusting = bent { $0.hardLimit = 2 * day }
    #expect(Self.removedKeysLeave(trusting, empties: false, dies: true).violations != [])
  }

  // MARK: - 4

  static func newKeysArrive(_ settings: RefreshSettings, flooded: Bool, _ fault: EngineFault) -> Findings {
    var findings = Findings()
    var arrived = 0
    for seed in UInt64(1)...10 {
      let world = Simulation(seed: seed, fault: fault)
      let published = world.now + world.chance.within(10 * minute...20 * minute)
      world.add(settings) { world, _ in
        .keys(world.now >= published ? [1, 2] : [1], delay: world.chance.within(10...4_000))
      }
      if flooded { world.every(50) { $0.token(0, kid: 1_000 + $0.chance.below(1_000_000)) } }
      let bound: Int64 = flooded ? 35_000 : 5_000
      let first = published + 10
      var accepted: Int64 = .max
      world.onOutcome = { _, kid, _, outcome in
        if kid == 2, outcome == .accepted { accepted = min(accepted, world.now) }
      }
      world.at(first) { $0.token(0, kid: 2) }
      if flooded { world.every(1_000, from: first + 1_000) { $0.token(0, kid: 2) } }
      world.run(for: 21 * minute + bound)
      findings.require(accepted <= first + bound, "not accepted within \(bound) ms")
      arrived += accepted == .max ? 0 : 1
    }
    findings.require(arrived == 10, "only \(arrived) arrivals")
    return findings
  }

  @Test func invariant4_aNewKeyIsAcceptedSoon() {
    #expect(Self.newKeysArrive(RefreshSettings(), flooded: false, .none).violations == [])
    #expect(Self.newKeysArrive(RefreshSettings(), flooded: true, .none).violations == [])
  }

  @Test func invariant4_isSeenToBreak() {
    #expect(Self.newKeysArrive(RefreshSettings(), flooded: false, .wakesNobody).violations != [])
    #expect(Self.newKeysArrive(bent { $0.demand.interval = 120_000 }, flooded: true, .none).violations != [])
  }

  // MARK: - 5

  /// Everything but an accepted set, for nearly as long as H; among it an emptied answer, and two from an old edge.
  static func outageIsOutlived(_ settings: RefreshSettings) -> Findings {
    var findings = Findings()
    let world = Simulation(seed: 9)
    let turn = world.now + hour
    var answers = 0
    world.add(settings) { world, _ in
      guard world.now >= turn else { return .keys([1], generated: world.now / 1_000) }
      answers += 1
      if answers == 20 { return .keys([]) }
      if answers == 30 || answers == 40 { return .keys([7], generated: turn / 1_000 - 3_600) }
      return [.hangs, .gone, .fails(), .fails(retryAfter: 500_000)][answers % 4]
    }
    world.every(minute) { $0.token(0, kid: 1) }
    var end: Int64 = .min
    world.onOutcome = { _, _, since, outcome in
      findings.require(world.nodes[0].servedUntil >= end, "the end has moved nearer")
      end = world.nodes[0].servedUntil
      let isPast = since >= turn + 23 * hour
      findings.require(isPast || outcome == .accepted, "\(outcome) at \((since - turn) / minute) min")
    }
    world.run(for: 24 * hour)
    findings.require(world.outcomes[.accepted, default: 0] > 1_400, "only \(world.outcomes) tokens")
    findings.require(answers > 100, "only \(answers) answers")
    return findings
  }

  @Test func invariant5_onlyAnAcceptedSetEndsKeysEarlier() {
    #expect(Self.outageIsOutlived(RefreshSettings()).violations == [])
  }

  @Test func invariant5_isSeenToBreak() {
    #expect(Self.outageIsOutlived(bent { $0.emptyAnswer = .obey }).violations != [])
    #expect(Self.outageIsOutlived(bent { $0.hardLimit = 2 * hour }).violations != [])
    #expect(Self.outageIsOutlived(bent { $0.regression = hour * 2 }).violations != [])
  }

  // MARK: - 7

  static func wallClockIsNotHeard(_ fault: EngineFault) -> Findings {
    var findings = Findings()
    func history(jumping: Bool) -> [String] {
      let world = Simulation(seed: 4, fault: fault)
      world.add { world, _ in world.chance.below(4) == 0 ? .fails() : .keys([1], generated: world.now / 1_000)
      }
      world.every(10_000) { $0.token(0, kid: $0.chance.below(3)) }
      if jumping {
        world.every(7 * minute) { world in
          world.wallOffset = world.chance.state % 2 == 0 ? 365 * day : -365 * day
        }
      } else {
        world.every(7 * minute) { _ in }
      }
      world.run(for: 6 * hour)
      let accepted = world.outcomes[.accepted, default: 0]
      return world.requests.map { "\($0.time) \($0.reason)" } + ["\(accepted)"]
    }
    let steady = history(jumping: false)
    findings.require(history(jumping: true) == steady, "the histories differ")
    findings.require(steady.count > 80, "only \(steady.count) requests")
    return findings
  }

  @Test func invariant7_theWallClockMovesNothing() {
    #expect(Self.wallClockIsNotHeard(.none).violations == [])
  }

  @Test func invariant7_isSeenToBreak() {
    #expect(Self.wallClockIsNotHeard(.readsTheWallClock).violations != [])
  }

  // MARK: - 9

  static func memoryIsBounded(_ settings: RefreshSettings, kids count: UInt64) -> Findings {
    var findings = Findings()
    var patient = Patient { $0 = settings }
    patient.on(.start(stored: nil, isLazy: false))
    patient.land()
    var refused = [UInt64](repeating: 0, count: RefusedKids.words(for: settings.refusedKids))
    var listed = 0
    refused.withUnsafeMutableBufferPointer { words in
      let kids = RefusedKids(Items(words.baseAddress, count: words.count), key: HashKey(low: 1, high: 2))
      for number in 0..<count {
        let hash = number &* 0x9e37_79b9_7f4a_7c15
        if !kids.contains(hash, hold: 60_000, now: patient.now) { patient.on(.missed) }
        if number % 1_000 == 999, patient.flight != 0 { patient.land(after: 10) }
        kids.add(hash, now: patient.now)
        listed += 1
        patient.now += 10
      }
    }
    findings.require(listed == count, "only \(listed) kids")
    findings.require(refused.count * 8 <= 8_192, "\(refused.count * 8) octets of refused kids")
    findings.require(refused.allSatisfy { $0 != 0 }, "the list was never full")
    let size = MemoryLayout<RefreshState>.size
    findings.require(size <= 384, "\(size) octets of state")
    return findings
  }

  @Test func invariant9_memoryIsBoundedUnderAMillionKids() {
    #expect(Self.memoryIsBounded(RefreshSettings(), kids: 1_000_000).violations == [])
  }

  @Test func invariant9_isSeenToBreak() {
    #expect(Self.memoryIsBounded(bent { $0.refusedKids = 2_000 }, kids: 20_000).violations != [])
  }

  // MARK: - 10

  static func refreshesAreSpread(_ fault: EngineFault) -> Findings {
    var findings = Findings()
    let world = Simulation(fault: fault)
    for _ in 0..<1_000 { world.add { _, _ in .keys([1]) } }
    let begun = world.now
    world.run(for: 25 * minute)
    let later = world.requests.map(\.time).filter { $0 > begun + 2 * 270_000 }
    let perCycle = 1_000
    findings.require(later.most(in: 2_999) <= perCycle / 10, "\(later.most(in: 2_999)) of 1,000 in 3 s")
    findings.require(later.count > 3_000, "only \(later.count) refreshes")
    return findings
  }

  @Test func invariant10_aThousandProcessesDoNotComeTogether() {
    #expect(Self.refreshesAreSpread(.none).violations == [])
  }

  @Test func invariant10_isSeenToBreak() {
    #expect(Self.refreshesAreSpread(.hasNoChance).violations != [])
  }

  // MARK: - 11

  static func nothingOutlivesTheLimit(_ settings: RefreshSettings, _ fault: EngineFault) -> Findings {
    var findings = Findings()
    for seed in UInt64(1)...10 {
      let world = Simulation(seed: seed, fault: fault)
      world.add(settings) { _, _ in .keys([1]) }
      let stop = world.now + world.chance.within(minute...hour)
      world.at(stop) { $0.nodes[0].isStopped = true }
      var accepted = 0
      world.every(minute) { $0.token(0, kid: 1) }
      world.onOutcome = { _, _, since, outcome in
        guard outcome == .accepted else { return }
        accepted += 1
        let began = world.nodes[0].state.record.accepted?.began ?? 0
        findings.require(since < began + day, "accepted \(since - began) ms after the fetch")
      }
      world.run(for: 26 * hour)
      findings.require(accepted > 1_400, "only \(accepted) tokens")
    }
    return findings
  }

  @Test func invariant11_withoutTheEngineNothingIsAcceptedPastH() {
    #expect(Self.nothingOutlivesTheLimit(RefreshSettings(), .none).violations == [])
  }

  @Test func invariant11_isSeenToBreak() {
    #expect(Self.nothingOutlivesTheLimit(RefreshSettings(), .readersTrustTheEngine).violations != [])
    #expect(Self.nothingOutlivesTheLimit(bent { $0.hardLimit = 25 * hour }, .none).violations != [])
  }

  // MARK: - 12

  static func hangersDelayNobody(_ fault: EngineFault) -> Findings {
    var findings = Findings()
    let world = Simulation(seed: 6, fault: fault)
    world.addQueue(600)
    let turn = world.now + 10 * minute
    for _ in 0..<500 { world.add { world, _ in world.now >= turn ? .hangs : .keys([1]) } }
    let firstSound = world.nodes.count
    for _ in 0..<100 { world.add { _, _ in .keys([1]) } }
    // All of the hanging ones are asked for at once.
    world.at(turn) { world in for node in 0..<500 { world.token(node, kid: 2) } }
    for second in stride(from: Int64(0), to: 1_200, by: 5) {
      world.at(turn + second * 1_000) { world in
        for node in firstSound..<world.nodes.count {
          let state = world.nodes[node].state.state(world.nodes[node].settings, now: world.now)
          findings.require(state == .fresh, "a sound issuer is \(state) after \(second) s")
        }
      }
    }
    world.run(for: 30 * minute)
    let sound = world.launchDelays.filter { $0.node >= firstSound && $0.begun >= turn }
    for one in sound {
      findings.require(one.delay <= 45_000, "delayed by \(one.delay) ms")
      let isLater = one.begun > turn + 45_000
      findings.require(!isLater || one.delay <= 10_000, "delayed by \(one.delay) ms after the first failures")
    }
    findings.require(sound.count > 350, "only \(sound.count) refreshes")
    let hanging = world.launchDelays.filter { $0.node < firstSound && $0.begun >= turn }
    findings.require(hanging.count > 2_000, "only \(hanging.count) flights hung")
    return findings
  }

  @Test func invariant12_fiveHundredThatHangDelayNobodyElse() {
    #expect(Self.hangersDelayNobody(.none).violations == [])
  }

  @Test func invariant12_isSeenToBreak() {
    #expect(Self.hangersDelayNobody(.forgetsWhoFails).violations != [])
  }

  // MARK: - A day of everything

  @Test func aDayOfFaultsLeavesNothingBehind() {
    let settings = RefreshSettings()
    let world = Simulation(seed: 8)
    let store = world.addStore(settings)
    for _ in 0..<3 {
      world.add(settings, source: .discovery, store: store) { world, _ in
        var reply: Reply
        switch world.chance.below(12) {
        case 0: reply = .hangs
        case 1: reply = .fails(retryAfter: world.chance.within(0...1_000_000))
        case 2: reply = .gone
        case 3: reply = .keys([])
        case 4: reply = .keys([3], generated: world.now / 1_000 - 1_000)
        case 5: reply = Reply(end: .notModified(Answer(freshness: world.chance.within(0...day))))
        default:
          reply = .keys(
            [1, 2 + world.chance.below(2)], freshness: world.chance.within(0...day),
            generated: world.now / 1_000)
        }
        reply.requests = 1 + world.chance.below(3)
        return reply
      }
    }
    world.every(2_000) {
      $0.token($0.chance.below(3), kid: $0.chance.below(4) == 0 ? 1_000 + $0.chance.below(50) : 1)
    }
    world.every(7 * minute) { world in
      let node = world.chance.below(3)
      world.nodes[node].isStopped.toggle()
      if !world.nodes[node].isStopped { world.tell(node, .tick) }
    }
    world.every(hour) { $0.tell($0.chance.below(3), .askedByOperator) }
    var served = 0
    world.onOutcome = { node, kid, _, outcome in
      if outcome == .accepted { served += 1 }
      #expect(world.nodes[node].waiting.count <= 256)
    }
    world.run(for: day)
    let asked = world.requests.filter { $0.reason != .byOperator }.map(\.time)
    #expect(asked.most(in: minute) <= 9 && asked.most(in: hour) <= 245)
    #expect(asked.count > 500 && served > 20_000 && world.actions > 10_000)
    #expect(Set(world.requests.map(\.reason)) == [.start, .schedule, .retry, .missingKid, .byOperator])
    #expect(Set(world.refusals.keys) == [.demandSpent, .totalSpent, .backingOff] && world.listed > 0)
  }
}
