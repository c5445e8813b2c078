import Testing

@testable import KeyturnCLI

/// What a plan adds up. That it is safe, and no longer than it must be, is for PlanRehearsalTests.
@Suite struct RotationTests {
  private static func inputs(_ change: (inout Rotation.Inputs) -> Void = { _ in }) -> Rotation.Inputs {
    var inputs = Rotation.Inputs(
      tokenLifetime: 3_600, cacheFreshness: 300, verifierInterval: 300, propagation: 60, leeway: 30,
      hardLimit: 86_400)
    change(&inputs)
    return inputs
  }

  @Test func everyIntervalIsTheSumOfItsReasons() {
    let plan = Rotation(
      Self.inputs {
        $0.caches = 3
        $0.margin = 10
        $0.skew = 5
      })
    #expect(plan.sign - plan.publish == 60 + 3 * 300 + 30 + 10)
    #expect(plan.retire - plan.sign == 60 + 3_600 + 30 + 5)
    #expect(plan.gone - plan.retire == 60 + 3 * 300 + 300 + 10)
    #expect(plan.steps.map(\.at) == plan.steps.map(\.at).sorted())
  }

  @Test func aVerifierThatDoesNotFetchForATokenIsWaitedFor() {
    let plan = Rotation(Self.inputs { $0.fetchesOnMiss = false })
    #expect(plan.sign == 60 + 300 + 300)
    #expect(Rotation(Self.inputs { $0.verifierInterval = 10 }).sign == 60 + 300 + 10)
    #expect(Rotation(Self.inputs { $0.caches = 0 }).sign == 60 + 30)
  }

  @Test func aGatewayAsksAsItsSettingsLetIt() {
    #expect(Rotation.interval(freshness: 300, isAgeTold: false) == 270)
    #expect(Rotation.interval(freshness: 15, isAgeTold: false) == 54)
    #expect(Rotation.interval(freshness: 86_400, isAgeTold: false) == 3_240)
    #expect(Rotation.interval(freshness: 86_400, isAgeTold: true) == 54)
    #expect(Rotation.interval(freshness: 1, isAgeTold: false, from: 1) == 1)
  }

  @Test func anEmergencyTellsWhatIsRefusedAndWhatIsExposed() {
    let plan = Rotation(Self.inputs())
    #expect(plan.refusedFor == 390)
    #expect(Rotation(Self.inputs { $0.fetchesOnMiss = false }).refusedFor == plan.spread)
    #expect(plan.emergency.first { $0.name == "exposed" }?.at == plan.spread)
    #expect(plan.emergency.first { $0.name == "cut off" }?.at == 86_400)
  }

  @Test func whatNoScheduleHelpsAgainstIsTold() {
    #expect(Rotation(Self.inputs()).dangers.isEmpty)
    #expect(Rotation(Self.inputs { $0.hardLimit = 299 }).dangers.count == 1)
    #expect(Rotation(Self.inputs { $0.skew = 31 }).dangers.count == 1)
    #expect(
      Rotation(
        Self.inputs {
          $0.fetchesOnMiss = false
          $0.tokenLifetime = 8 * 86_400
        }
      ).warnings.count == 2)
  }

  @Test func nonsenseIsRefusedByName() {
    #expect(Rotation.refusal(Self.inputs { $0.tokenLifetime = 0 })?.hasPrefix("token lifetime") == true)
    #expect(Rotation.refusal(Self.inputs { $0.hardLimit = 0 })?.hasPrefix("hard limit") == true)
    #expect(Rotation.refusal(Self.inputs { $0.propagation = -1 })?.hasPrefix("propagation") == true)
    #expect(Rotation.refusal(Self.inputs { $0.cacheFreshness = .max })?.hasPrefix("cache freshness") == true)
    #expect(Rotation.refusal(Self.inputs { $0.caches = 17 })?.hasPrefix("caches") == true)
  }
}

/// SplitMix64: the same numbers at each run.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
}
