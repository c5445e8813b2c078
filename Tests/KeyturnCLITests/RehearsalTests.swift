import Testing

@testable import Keyturn
@testable import KeyturnCLI

/// The simulator against what can be reckoned by hand, or second by second.
@Suite struct RehearsalTests {
  private static func scenario(_ change: (inout Scenario) -> Void) -> Scenario {
    var scenario = Scenario(duration: 7_200_000, keys: ["old", "new"])
    scenario.groups = [Scenario.Group(name: "gateways", count: 10, requestsPerSecond: 10)]
    change(&scenario)
    return scenario
  }

  private static func steps(_ at: Int64, _ acts: [(Scenario.Step.Act, Int)]) -> [Scenario.Step] {
    acts.map { Scenario.Step(at: at, act: $0.0, key: $0.1) }
  }

  // MARK: - Tokens

  @Test func tokensAreCountedAsTheyWouldComeOneByOne() {
    for ahead in [-90_000, 0, 20_000, 50_000] as [Int64] {
      let scenario = Self.scenario {
        $0.issuer.propagation = 20_000
        $0.issuer.tokenLifetime = 300_000
        $0.steps = Self.steps(600_000, [(.sign, 1)])
      }
      let world = World(scenario)
      let traffic = Traffic(world.shares, scenario, scenario.groups[0], ahead: ahead)
      for (from, to) in [(0, 590_000), (590_000, 640_000), (610_000, 611_000), (640_000, 1_100_000)]
        as [(Int64, Int64)]
      {
        for key in 0...1 {
          let (exact, counted) = (traffic.count(key, from, to), Self.brute(scenario, key, from, to, ahead))
          #expect(
            abs(exact - counted) <= 0.02 * max(20, counted),
            "\(key) \(from) \(to) \(ahead): \(exact) \(counted)")
        }
      }
    }
  }

  /// Ten a second: one fresh, nine of ages that are spread over a token's life; each of them signed by one of three servers.
  private static func brute(_ scenario: Scenario, _ key: Int, _ from: Int64, _ to: Int64, _ ahead: Int64)
    -> Double
  {
    let (life, leeway) = (scenario.issuer.tokenLifetime, scenario.groups[0].leeway)
    let (youngest, oldest) = (max(0, ahead - leeway), max(0, life + leeway + ahead))
    let window = max(life, oldest)
    func share(_ issued: Int64) -> Double {
      let servers = [0, 10_000, 20_000].filter { ((issued >= 600_000 + $0) ? 1 : 0) == key }
      return Double(servers.count) / 3
    }
    var sum = 0.0
    for time in stride(from: from, to: to, by: 500) {
      if youngest == 0 { sum += 0.5 * share(time) }
      for part in 0..<200 {
        let age = window * Int64(2 * part + 1) / 400
        if age >= youngest, age < oldest { sum += 4.5 / 200 * share(time - age) }
      }
    }
    return sum
  }

  @Test func whatAClockRefusesIsCountedOnce() {
    let rehearsal = Rehearsal(
      Self.scenario {
        $0.issuer.clock = 31_000
        $0.freshShare = 1
      })
    #expect(rehearsal.refused == rehearsal.tokens)
    #expect(Rehearsal(Self.scenario { $0.issuer.clock = 30_000 }).isSafe)
  }

  // MARK: - Verifiers

  /// The worst: keys were brought a millisecond before, and come again ten minutes later.
  @Test func whoDoesNotFetchRefusesUntilKeysAreBrought() throws {
    let scenario = Self.scenario {
      $0.freshShare = 1
      $0.hasWorstCase = true
      $0.issuer.servers = 1
      $0.groups[0].pushedEvery = 600_000
      $0.steps = Self.steps(1_000_000, [(.publish, 1), (.sign, 1)])
    }
    #expect(try Self.refused(scenario, isLate: true) == 6_000)
    #expect(try Self.refused(scenario, isLate: false) == 0)
  }

  private static func refused(_ scenario: Scenario, isLate: Bool) throws -> Int64 {
    let world = World(scenario)
    let tally = RehearsalTally(world)
    let member = try #require(Fleet(world).members.first { $0.asks?.isLate == isLate })
    var life = VerifierLife(world, member, tally)
    life.live()
    return Rehearsal.whole(tally.refused.joined().reduce(0, +))
  }

  @Test func aRemovedKeyIsTrustedUntilTheNextFetch() {
    let rehearsal = Rehearsal(
      Self.scenario {
        $0.hasWorstCase = true
        $0.published = 2
        $0.steps = Self.steps(3_600_000, [(.retire, 1)])
      })
    // 270 s less the millisecond by which it asked too early, and two answers' time at most.
    #expect((269_990...270_100).contains(rehearsal.tally.lateFor[1]))
    #expect(rehearsal.acceptedLate > 2_690)
    #expect(rehearsal.tally.lastLoss[1] - 3_600_000 == rehearsal.tally.lateFor[1])
  }

  @Test func aMissIsWaitedForAndBringsTheKey() {
    let rehearsal = Rehearsal(
      Self.scenario { $0.steps = Self.steps(3_600_000, [(.publish, 1), (.sign, 1)]) })
    #expect(rehearsal.isSafe)
    let misses = rehearsal.tally.fetches[Int(FlightReason.missingKid.rawValue)]
    #expect((5...10).contains(misses))  // but for those whose schedule was sooner
    #expect(rehearsal.tally.lastGain[1] - 3_600_000 < 60_000)
  }

  @Test func aFloodCostsNoMoreThanTheBoundsAllow() {
    let rehearsal = Rehearsal(
      Self.scenario {
        $0.groups[0].count = 1
        $0.attacks = [Scenario.Attack(group: 0, from: 0, to: 7_200_000, kidsPerSecond: 100)]
      })
    let misses = rehearsal.tally.fetches[Int(FlightReason.missingKid.rawValue)]
    #expect((235...245).contains(misses))
    #expect(rehearsal.isSafe)
  }

  @Test func anOutageBeyondTheHardLimitIsNotSurvived() {
    func refused(_ length: Int64) -> Int64 {
      Rehearsal(
        Self.scenario {
          $0.groups[0].settings.hardLimit = 3_600_000
          $0.outages = [Scenario.Outage(place: .issuer, from: 600_000, to: 600_000 + length, hangs: true)]
        }
      ).refused
    }
    #expect(refused(3_200_000) == 0)
    // Of ten verifiers each loses its keys an hour after its last fetch, which was at most 270 s before.
    #expect((10 * 10 * 300...10 * 10 * 700).contains(refused(3_600_000 + 300_000)))
  }

  @Test func aColdStartAsksOnceAndRefusesNobody() {
    let rehearsal = Rehearsal(Self.scenario { $0.groups[0].isCold = true })
    #expect(rehearsal.isSafe)
    #expect(rehearsal.tally.load[0] == 10)
    #expect(rehearsal.tally.waited > 0)
  }

  // MARK: - Caches

  @Test func theLatestWayIsTheSumOfWhatKeepsIt() throws {
    for (tellsAge, keeps) in [
      ([], 0), ([true], 1), ([true, true], 1), ([false, false], 2), ([true, false, true], 3),
    ] as [([Bool], Int64)] {
      let scenario = Self.scenario {
        $0.hasWorstCase = true
        $0.issuer.propagation = 60_000
        $0.caches = tellsAge.map { Scenario.Cache(name: "", tellsAge: $0) }
        $0.groups[0].caches = Array(tellsAge.indices)
        $0.steps = Self.steps(3_600_000, [(.publish, 1)])
      }
      let asks = try #require(Fleet(World(scenario)).members.compactMap(\.asks).first { $0.isLate }).at
      // Age is told in whole seconds, so that each that tells it to the next gives a second away.
      let bound = 3_600_000 + 60_000 + keeps * 300_000
      #expect((bound - 10...bound + 2_000).contains(asks), "\(tellsAge): \(asks - 3_660_000)")
    }
  }

  @Test func cachesAskForAll() {
    let rehearsal = Rehearsal(
      Self.scenario {
        $0.caches = [Scenario.Cache(name: "", nodes: 3)]
        $0.groups[0].caches = [0]
        $0.groups[0].count = 1_000
      })
    #expect((72...75).contains(rehearsal.tally.load.reduce(0, +)))
  }

  // MARK: - The whole

  @Test func theNumberOfWorkersChangesNothing() {
    let scenario = Self.scenario {
      $0.groups[0].count = 100
      $0.groups[0].skew = 20_000
      $0.steps = Self.steps(3_600_000, [(.publish, 1), (.sign, 1), (.retire, 0)])
      $0.attacks = [Scenario.Attack(group: 0, from: 0, to: 7_200_000, kidsPerSecond: 1)]
    }
    let documents = [1, 2, 7].map { RehearsalReport(Rehearsal(scenario, workers: $0)).document }
    #expect(documents[0] == documents[1] && documents[1] == documents[2])
    #expect(documents[0]["safe"] == .flag(false))
    var other = scenario
    other.seed = 2
    #expect(RehearsalReport(Rehearsal(other)).document != documents[0])
  }

  @Test func numbersAreReadable() {
    #expect(RehearsalReport.grouped(1_234_567) == "1,234,567")
    #expect(RehearsalReport.grouped(999) == "999")
    #expect(RehearsalReport.grouped(-1_000) == "-1,000")
    #expect(Span.milliseconds("1h30m") == 5_400_000)
    #expect(Span.milliseconds("-2s") == -2_000)
    #expect(Span.milliseconds("50ms") == 50)
    #expect(Span.milliseconds("1h30") == 3_630_000)
    #expect(Span.milliseconds("") == nil && Span.milliseconds("h") == nil && Span.milliseconds("1x") == nil)
  }
}
