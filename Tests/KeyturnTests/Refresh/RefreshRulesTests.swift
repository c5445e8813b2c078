// The rules of acceptance and of asking again, one by one; and what went wrong in other implementations, by
// the number under which it was reported.
import Testing

@testable import Keyturn

private let minute: Int64 = 60_000
private let hour: Int64 = 3_600_000
private let day: Int64 = 86_400_000

@Suite struct RefreshRulesTests {
  /// With a set of digest 1, generated at 10,000 s by its issuer's clock.
  private func fresh(_ source: RefreshSource = .keysURL, _ change: (inout RefreshSettings) -> Void = { _ in })
    -> Patient
  {
    var patient = Patient(source, change)
    patient.on(.start(stored: nil, isLazy: false))
    patient.land(generated: 10_000)
    return patient
  }

  // MARK: - Times

  @Test func theScheduleLiesBetweenThreeQuartersAndNineTenths() {
    for (random, due) in [(0, 225_000), (1 << 63, 247_500), (.max, 269_999)] as [(UInt64, Int64)] {
      var patient = Patient()
      patient.random = random
      let began = patient.now
      patient.on(.start(stored: nil, isLazy: false))
      patient.land(after: 3_000)
      #expect(patient.state.deadline - began == due)
      #expect(patient.say(.tick) == "nothing")
      #expect(patient.tick().name == "begin schedule")
    }
  }

  @Test func ageCountsFromTheStartOfTheFetch() {
    var patient = Patient()
    patient.on(.start(stored: nil, isLazy: false))
    patient.now += 2_000  // in the queue
    patient.land(after: 4_000)
    #expect(patient.servedFor == day - 4_000)
    patient.now += 295_999
    #expect(patient.phase == .fresh)
    patient.now += 1
    #expect(patient.phase == .stale)
    patient.now += day - 300_000 - 1
    #expect(patient.phase == .stale)
    patient.now += 1
    #expect(patient.phase == .expired)
  }

  @Test func mustRevalidateEndsTheKeysOnlyIfTold() {
    for (honored, limit) in [(false, day), (true, 300_000)] as [(Bool, Int64)] {
      var patient = Patient { $0.honorMustRevalidate = honored }
      patient.on(.start(stored: nil, isLazy: false))
      let answer = Answer(freshness: 300_000, mustRevalidate: true)
      patient.land(.keys(answer, digest: 1, isEmpty: false), after: 0)
      #expect(patient.servedFor == limit)
    }
  }

  @Test func aFlightThatHangsIsAbandoned() {
    var patient = fresh()
    patient.on(.missed)
    let id = patient.flight
    #expect(patient.state.deadline > patient.now + minute)  // in the queue it may wait
    patient.on(.launched(flight: id))
    #expect(patient.state.deadline == patient.now + 5_000)
    #expect(patient.tick().name == "abandon")
    #expect(
      patient.say(.ended(flight: id, .keys(Answer(freshness: 1), digest: 9, isEmpty: false))) == "nothing")
    #expect(patient.state.record.accepted?.digest == 1)
  }

  @Test func aWarningComesAnHourAfterFreshnessAndEachHour() {
    var patient = fresh()
    var warnings: [Int64] = []
    let began = patient.now - 100
    while patient.now < began + 5 * hour {
      switch patient.tick() {
      case .warn: warnings.append((patient.now - began) / minute)
      case .begin: patient.land(.failed(retryAfter: nil))
      default: break
      }
    }
    #expect(warnings == [65, 125, 185, 245])
  }

  @Test func pinnedKeysEndWithTheirAgeAndSayItBefore() {
    var patient = Patient(.pinned) { $0.pinnedMaxAge = 10 * hour }
    patient.on(.start(stored: nil, isLazy: false))
    #expect(patient.say(.asked) == "unavailable")
    #expect(patient.say(.pushed(digest: 1)) == "adopt")
    #expect(patient.servedFor == 10 * hour)
    #expect(patient.state.deadline == patient.now + 9 * hour)
    #expect(patient.tick().name == "warn")
    #expect(Patient(.pinned).state.deadline == .max)
  }

  // MARK: - Start

  @Test func aStoredSetServesFromTheFirstCallAndItsAgeCounts() {
    var patient = Patient()
    let stored = RefreshRecord.Accepted(
      began: patient.now - 400_000, freshness: 300_000, limit: day, digest: 1, generated: nil)
    #expect(patient.say(.start(stored: stored, isLazy: false)) == "nothing")
    #expect(patient.servedFor == day - 400_000 && patient.phase == .stale)
    #expect(patient.state.deadline == patient.now + 22_500)  // jitter
    #expect(patient.tick().name == "begin schedule")
  }

  @Test func aStoredSetFromTheFutureIsNoYoungerThanNow() {
    var patient = Patient()
    let stored = RefreshRecord.Accepted(began: .max, freshness: .max, limit: .max, digest: 1, generated: nil)
    patient.on(.start(stored: stored, isLazy: false))
    #expect(patient.servedFor == day)
    #expect(patient.state.record.accepted?.freshness == hour)
  }

  @Test func aStoredSetBeyondTheLimitIsNone() {
    var patient = Patient()
    let stored = RefreshRecord.Accepted(
      began: patient.now - day, freshness: 1, limit: day, digest: 1, generated: nil)
    #expect(patient.say(.start(stored: stored, isLazy: false)) == "begin start")
    #expect(patient.phase == .empty)
    #expect(patient.say(.asked) == "pending")
  }

  @Test func anIssuerThatNobodyNamesRests() {
    var patient = fresh()
    var rested = false
    for _ in 0..<1_000 where !rested {
      switch patient.tick() {
      case .begin: patient.land(.notModified(Answer(freshness: 300_000)))
      case .rest: rested = true
      default: break
      }
    }
    #expect(rested && patient.state.deadline == .max && patient.now >= 1_000_000_000 + day)
    #expect(patient.servedFor < 300_000)  // pending, not stale
    patient.now += minute
    #expect(patient.say(.asked) == "begin schedule")
    #expect(patient.say(.asked) == "pending")
    patient.land(.failed(retryAfter: nil))
    #expect(patient.servedFor > 23 * hour && patient.phase == .stale)  // nothing better: stale after all
  }

  @Test func aRestingIssuerWakesInTimeIfItIsNamed() {
    var patient = Situation.idle.patient
    patient = fresh()
    patient.now += 200_000
    patient.on(.named)
    #expect(patient.state.deadline <= 1_000_000_000 + 270_000)
  }

  @Test func aLazyIssuerAsksWithItsFirstToken() {
    var patient = Patient()
    #expect(patient.say(.start(stored: nil, isLazy: true)) == "nothing")
    #expect(patient.state.deadline == .max)
    #expect(patient.say(.asked) == "begin start")
    #expect(patient.say(.asked) == "pending")
    #expect(patient.land().name == "adopt")
  }

  // MARK: - Acceptance

  @Test func discoveryIsAskedFirstAfterADayAndWhenTheKeysHaveGone() {
    var patient = Patient(.discovery)
    patient.on(.start(stored: nil, isLazy: false))
    #expect(patient.state.flight?.discovery == .required)
    #expect(patient.say(.furtherRequest(flight: patient.flight)) == "proceed")
    patient.land()
    patient.tick()
    #expect(patient.state.flight?.discovery == Flight.Discovery.none)
    #expect(patient.land(.gone).name == "fail")
    patient.tick()
    #expect(patient.state.flight?.discovery == .required)
    patient.land()
    for _ in 0..<400 {
      patient.on(.named)
      patient.tick()
      if patient.state.flight?.discovery == .preferred { break }
      patient.land(.notModified(Answer(freshness: 300_000)))
    }
    #expect(patient.state.flight?.discovery == .preferred)
  }

  @Test func anOlderAnswerIsARegressionUnlessItStays() {
    var patient = fresh()
    var actions: [String] = []
    let began = patient.now
    while patient.now < began + 20 * minute, actions.last != "adopt" {
      patient.tick()
      if patient.state.flight != nil { actions.append(patient.land(2, generated: 9_994).name) }
    }
    #expect(actions.dropLast().allSatisfy { $0 == "hold regressed" } && actions.count > 3)
    #expect(actions.last == "adopt" && patient.now - began > 300_000)
  }

  @Test(
    arguments: [(9_995, "adopt"), (9_994, "hold regressed"), (20_000, "adopt"), (nil, "adopt")]
      as [(Int64?, String)])
  func fiveSecondsAreNoRegression(_ generated: Int64?, _ action: String) {
    var patient = fresh()
    patient.tick()
    #expect(patient.land(2, generated: generated).name == action)
  }

  @Test func whatIsInForceIsConfirmedByAnOldEdgeToo() {
    var patient = fresh()
    patient.tick()
    #expect(patient.land(1, generated: 5_000).name == "renew")
    #expect(patient.state.record.accepted?.generated == 10_000)
    patient.tick()
    #expect(patient.land(2, generated: 6_000).name == "hold regressed")
  }

  /// Two edges of a CDN in turn: the old set never comes back.
  @Test func alternatingEdgesDoNotUndoARotation() {
    var patient = fresh()
    patient.tick()
    #expect(patient.land(2, generated: 11_000).name == "adopt")
    var held = 0
    for turn in 0..<200 {
      while patient.state.flight == nil {
        patient.tick()
        patient.on(.named)
      }
      let action = turn % 2 == 0 ? patient.land(1, generated: 10_000) : patient.land(2, generated: 11_000)
      if case .hold = action { held += 1 }
      #expect(patient.state.record.accepted?.digest == 2)
    }
    #expect(held == 100)
  }

  @Test func anEmptiedSetIsHeldForTenMinutes() {
    var patient = fresh()
    var answers: [Int64] = []
    let began = patient.now - 100
    var last = ""
    while last != "adopt", answers.count < 20 {
      patient.tick()
      guard patient.state.flight != nil else { continue }
      last = patient.land(5, isEmpty: true).name
      answers.append(patient.now - began)
    }
    #expect(answers.count == 5 && last == "adopt")
    let waits = zip(answers, answers.dropFirst()).map { $1 - $0 }
    #expect(waits.allSatisfy { $0 == 150_100 })
    #expect(answers.last ?? .max <= 10 * minute + 2 * 300_000)
  }

  @Test func emptiedAnswersThatDifferAreNotThoseThatStay() {
    var patient = fresh()
    for digest in UInt64(10)..<30 {
      while patient.state.flight == nil { patient.tick() }
      #expect(patient.land(digest, isEmpty: true).name == "hold emptied")
    }
    #expect(patient.state.record.accepted?.digest == 1)
  }

  @Test func aSPIFFEBundleMeansItWhenItIsEmpty() {
    var patient = fresh { $0.emptyAnswer = .obey }
    patient.tick()
    #expect(patient.land(5, isEmpty: true).name == "adopt")
    #expect(patient.phase == .fresh)
  }

  @Test func whileAnEmptiedSetIsHeldANewKeyIsStillAskedFor() {
    var patient = fresh()
    patient.tick()
    patient.land(5, isEmpty: true)
    #expect(patient.say(.missed) == "begin missingKid")
  }

  @Test func aSetWithNothingInCommonIsObeyedAtOnce() {
    var patient = fresh()
    patient.tick()
    #expect(patient.land(0xdead).name == "adopt")
  }

  @Test func anAnswerThatIsOlderThanTheSetInForceIsNotObeyed() {
    var patient = fresh()
    patient.on(.missed)
    let id = patient.flight
    patient.on(.launched(flight: id))
    patient.now += 100
    #expect(patient.say(.pushed(digest: 6, freshness: 600_000)) == "adopt")
    #expect(patient.state.record.accepted?.freshness == 600_000)
    #expect(patient.say(.pushed(digest: 7)) == "adopt")
    #expect(patient.state.record.accepted?.freshness == 300_000)
    #expect(
      patient.say(.ended(flight: id, .keys(Answer(freshness: 1), digest: 2, isEmpty: false))) == "nothing")
    #expect(patient.state.record.accepted?.digest == 7)
  }

  // MARK: - Kids

  @Test func aKidIsAskedForTwiceAMinute() {
    var patient = fresh()
    for _ in 0..<2 {
      #expect(patient.say(.missed) == "begin missingKid")
      #expect(patient.say(.missed) == "pending")
      patient.land()
    }
    #expect(patient.say(.missed) == "refuse demandSpent")
  }

  @Test func whoWaitedLearnsWhetherItFailed() {
    var patient = fresh()
    #expect(!patient.state.lastFlightFailed)
    patient.fails()
    #expect(patient.state.lastFlightFailed)
    while patient.state.flight == nil { patient.tick() }
    patient.land()
    #expect(!patient.state.lastFlightFailed)
    patient.on(.takenElsewhere(since: patient.now))
    patient.on(.synced(patient.state.record, isOver: true))
    #expect(!patient.state.lastFlightFailed)  // whoever had the lock found that nothing may be asked
    var failing = patient.state.record
    failing.backoff.fail(
      retryAfter: nil, servedUntil: .max, patient.settings, RefreshTime(now: patient.now, random: 0))
    patient.on(.takenElsewhere(since: patient.now))
    patient.on(.synced(failing, isOver: true))
    #expect(patient.state.lastFlightFailed)
  }

  @Test func oneOfTheTotalIsKeptForTheSchedule() {
    var patient = fresh { $0.demand.burst = 100 }
    var admitted = 0
    while case .begin = patient.on(.missed) {
      admitted += 1
      patient.land(after: 1)
    }
    #expect(admitted == 3)  // the start took one of five
    #expect(patient.say(.missed) == "refuse totalSpent")
    patient.now += 1
    patient.settings.total.interval = hour
    #expect(patient.tick().name == "begin schedule")
  }

  @Test func aBadSignatureCountsOnceInFiveMinutesWhereItIsAllowed() {
    var patient = fresh { $0.sameKidRekey = true }
    #expect(patient.say(.badSignature) == "begin rekey")
    #expect(patient.say(.badSignature) == "pending")
    patient.land()
    #expect(patient.say(.badSignature) == "refuse demandSpent")
    patient.now += 299_899
    #expect(patient.say(.badSignature) == "refuse demandSpent")
    patient.now += 1
    #expect(patient.say(.badSignature) == "begin rekey")
  }

  @Test func anotherFlightMayEndWhatABadSignatureIsAbout() {
    var patient = fresh { $0.sameKidRekey = true }
    #expect(patient.say(.missed) == "begin missingKid")
    #expect(patient.say(.badSignature) == "pending")
    patient.land(1)
    #expect(patient.say(.badSignature) == "begin rekey")
    patient.land(1)
    patient.now += 60_000
    #expect(patient.say(.missed) == "begin missingKid")
    #expect(patient.say(.badSignature) == "refuse demandSpent")
  }

  // MARK: - Operators

  @Test func anOperatorIsObeyedInBackoffAndSixTimesAMinute() {
    var patient = fresh()
    patient.fails(8)
    #expect(patient.say(.missed) == "refuse backingOff")
    for _ in 0..<6 {
      #expect(patient.say(.askedByOperator) == "begin byOperator")
      patient.land(.failed(retryAfter: nil), after: 1)
    }
    #expect(patient.say(.askedByOperator) == "tooOften")
  }

  @Test func anOperatorsWordDuringAFlightIsFollowedByAnother() {
    var patient = fresh()
    patient.on(.missed)
    #expect(patient.say(.askedByOperator) == "pending")
    patient.land()
    #expect(patient.tick().name == "begin byOperator")
    patient.land()
    #expect(patient.state.deadline > patient.now)
  }

  // MARK: - What a store holds

  @Test func aDamagedRecordTakesNothingAwayAndOpensNothing() {
    var patient = fresh()
    var wild = RefreshRecord(patient.settings)
    wild.accepted = RefreshRecord.Accepted(began: 5, freshness: -1, limit: .max, digest: 99, generated: .min)
    wild.lastFlight = .max
    let future = RefreshTime(now: 1 << 60, random: 0)
    wild.backoff.fail(retryAfter: nil, servedUntil: .min, patient.settings, future)
    wild.emptied = RefreshRecord.Repeated(digest: 1, count: .max, first: .max, last: .max)
    wild.discovered = .max
    patient.on(.synced(wild, isOver: true))
    #expect(patient.state.record.accepted?.digest == 1)
    #expect(patient.state.record.lastFlight == patient.now)
    #expect(patient.state.deadline <= patient.now + 300_000)
    #expect(patient.servedFor <= day)
  }

  @Test func aRecordIsReadAsItWasWrittenOrNotAtAll() {
    var patient = fresh(.discovery) { $0.sameKidRekey = true }
    patient.on(.badSignature)
    patient.land(.gone)
    patient.tick()
    patient.land(5, isEmpty: true)
    var words = [UInt64](repeating: 0, count: RefreshRecord.wordCount)
    func read() -> RefreshRecord? {
      words.withUnsafeMutableBufferPointer { RefreshRecord(Items($0.baseAddress, count: $0.count)) }
    }
    #expect(read() == nil)
    let record = patient.state.record
    let isWritten = words.withUnsafeMutableBufferPointer {
      record.write(Items($0.baseAddress, count: $0.count))
    }
    #expect(isWritten)
    #expect(read().map { "\($0)" } == "\(record)")
    var refused = 0
    for bit in 0..<words.count * 64 {
      words[bit / 64] ^= 1 << (bit % 64)
      refused += read() == nil ? 1 : 0
      words[bit / 64] ^= 1 << (bit % 64)
    }
    #expect(refused == words.count * 64)
    #expect(words.removeLast() != 0 && read() == nil)
    #expect(!record.write(.none))
  }

  @Test func aRemovedIssuerAnswersNothingMore() {
    var patient = fresh()
    patient.on(.missed)
    let id = patient.flight
    #expect(patient.say(.disabled) == "abandon")
    #expect(patient.servedFor < 0 && patient.state.deadline == .max && patient.phase == .disabled)
    #expect(
      patient.say(.ended(flight: id, .keys(Answer(freshness: 1), digest: 2, isEmpty: false))) == "nothing")
    #expect(patient.say(.asked) == "unavailable")
  }
}

/// Each was reported against another implementation; the name says where.
@Suite struct RefreshComplaintTests {
  private func world(_ settings: RefreshSettings = RefreshSettings(), _ origin: @escaping Simulation.Origin)
    -> Simulation
  {
    let world = Simulation(seed: 2)
    world.add(settings, origin)
    world.run(for: 10_000)
    return world
  }

  @Test("coreos/go-oidc#482, random kids flood the IdP; jwks-rsa-java#173, and good users fail")
  func randomKids() {
    let world = world { _, _ in .keys([1]) }
    world.every(100) { $0.token(0, kid: 1_000 + $0.chance.below(1_000_000)) }
    world.every(1_000) { $0.token(0, kid: 1) }
    var good = 0
    world.onOutcome = { _, kid, since, outcome in
      guard kid == 1 else { return }
      #expect(outcome == .accepted && since == world.now)
      good += 1
    }
    world.run(for: 10 * minute)
    #expect(world.requests.count { $0.reason == .missingKid } <= 22)
    #expect(good > 590 && world.outcomes[.refused, default: 0] > 5_000)
  }

  @Test("lua-resty-openidc#468, each bad kid downloads the set again")
  func theSameBadKid() {
    let world = world { _, _ in .keys([1]) }
    world.every(200) { $0.token(0, kid: 66) }
    world.run(for: minute)
    #expect(world.listed > 150)
    #expect(world.requests.count { $0.reason == .missingKid } <= 4)
  }

  @Test("envoy#40025, retries for ever; envoyproxy/gateway#4791, #9378, #6525, 30 fetches a second")
  func aDeadOrigin() {
    let world = world { world, _ in world.now < 10_050_000 ? .keys([1]) : .fails() }
    world.every(1_000) { $0.token(0, kid: $0.chance.below(100)) }
    world.run(for: hour)
    let times = world.requests.map(\.time)
    #expect(times.count > 15 && times.count < 40)
    #expect(
      times.suffix(10).elementsEqual(times.suffix(10).sorted()) && times.suffix(2).most(in: 149_000) == 1)
  }

  @Test("panva/jose, a cooldown that counts from successes only: a dead endpoint uses up its tokens too")
  func failuresAreAdmittedToo() {
    let world = world { world, _ in world.now < 10_005_000 ? .keys([1]) : .fails() }
    for _ in 0..<500 {
      world.token(0, kid: world.chance.below(100_000) + 2)
      world.run(for: 20)
    }
    #expect(world.requests.filter { $0.reason == .missingKid }.count == 1)
  }

  @Test("envoy#13708, a fetch per worker; vault#27929 and spring-security#19069, a herd at the start")
  func aHostFetchesOnce() {
    let settings = RefreshSettings()
    let world = Simulation(seed: 3)
    let store = world.addStore(settings)
    for _ in 0..<64 { world.add(settings, store: store) { _, _ in .keys([1], delay: 400) } }
    world.run(for: 10_000)
    #expect(world.requests.count == 1)
    for node in 0..<64 { world.token(node, kid: 1) }
    #expect(world.outcomes == [.accepted: 64])
    for node in 0..<64 { world.token(node, kid: 2) }
    world.run(for: 10_000)
    #expect(world.requests.count <= 3)
    world.run(for: hour)
    #expect((13...20).contains(world.requests.count))
  }

  @Test("aspnetcore#28948, the first request after a rollover is always 401")
  func theFirstAfterARollover() {
    let world = world { world, _ in .keys(world.now < 10_030_000 ? [1] : [2]) }
    world.run(for: minute)
    world.token(0, kid: 2)
    world.run(for: 1_000)
    #expect(world.outcomes == [.accepted: 1])
    world.token(0, kid: 1)
    world.run(for: 1_000)
    #expect(world.outcomes == [.accepted: 1, .refused: 1])
  }

  @Test("istio#58101, pyjwt#1162, node-jwks-rsa#385, nextcloud-oidc-login#152: keys lost to a failed fetch")
  func anOutage() {
    let world = world { world, _ in
      world.now < 10_030_000 ? .keys([1]) : [.fails(), .hangs, .gone][world.chance.below(3)]
    }
    world.every(minute) { $0.token(0, kid: 1) }
    world.run(for: 23 * hour)
    #expect(world.outcomes == [.accepted: 23 * 60])
  }

  @Test("istio#42202, #37456: an empty or invalid set is cached for 20 minutes; jwkset, it wipes the keys")
  func anEmptyMoment() {
    let world = world { world, _ in (10_200_000..<10_500_000).contains(world.now) ? .keys([]) : .keys([1]) }
    world.every(10_000) { $0.token(0, kid: 1) }
    world.run(for: hour)
    #expect(world.outcomes == [.accepted: 360])
    #expect(world.adoptions.count == 1)
  }

  @Test("CVE-2025-22149, zitadel/oidc#747: removed keys are trusted for ever")
  func aRemovedKey() {
    let world = world { world, _ in .keys(world.now < 10_030_000 ? [1, 2] : [2]) }
    world.run(for: 5 * minute)
    world.token(0, kid: 1)
    world.run(for: 1_000)
    #expect(world.outcomes == [.refused: 1])
  }

  @Test("envoy#31324: keys that are not at hand look like a bad token")
  func anOutageIsNoAttack() {
    let world = Simulation()
    world.add { world, _ in world.now < 10_600_000 ? .fails() : .keys([1]) }
    world.token(0, kid: 1)  // pending on the first fetch, which fails
    world.every(10_000) { $0.token(0, kid: 1) }
    world.run(for: 590_000)
    #expect(world.outcomes == [.unavailable: 60])
    world.run(for: 30_000)
    #expect(world.outcomes[.accepted, default: 0] >= 1 && world.outcomes[.refused] == nil)
  }

  @Test("kgateway#4838: an idle keep-alive connection fails the first fetch")
  func aDeadConnectionIsTriedOnceMoreAndCounted() {
    var patient = Patient()
    patient.on(.start(stored: nil, isLazy: false))
    #expect(
      (0..<4).map { _ in patient.say(.furtherRequest(flight: patient.flight)) }
        == Array(repeating: "proceed", count: 4))
    #expect(patient.say(.furtherRequest(flight: patient.flight)) == "stop")
  }

  @Test("Nimbus: a throttled call never reaches the outage copy")
  func aThrottledIssuerServesWhatItHas() {
    let world = world { world, _ in world.now < 10_005_000 ? .keys([1]) : .fails() }
    for _ in 0..<100 {
      world.token(0, kid: 5)
      world.token(0, kid: 1)
      world.run(for: 1_000)
    }
    #expect(world.outcomes[.accepted] == 100)
  }

  @Test("identitymodel#2959: 3,000 threads stuck; keyfunc, a reader blocks for a minute")
  func nobodyWaitsLongerThanAFetch() {
    let world = world { world, _ in world.now < 10_005_000 ? .keys([1]) : .hangs }
    var waited: [Int64] = []
    world.onOutcome = { _, _, since, _ in waited.append(world.now - since) }
    for number in 0..<3_000 { world.token(0, kid: 10 + number) }
    world.run(for: minute)
    #expect(waited.count == 3_000 && waited.allSatisfy { $0 <= 5_000 })
    #expect(waited.count { $0 > 0 } == 256)
  }
}
