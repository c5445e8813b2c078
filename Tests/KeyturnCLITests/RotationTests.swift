import Testing

@testable import KeyturnCLI

/// The plan against a world that does its worst: each cache and each verifier asks just before the change, and keeps
/// what it got for as long as it may.
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
        $0.agelessCaches = 2
        $0.margin = 10
        $0.skew = 5
      })
    #expect(plan.sign - plan.publish == 60 + 3 * 300 + 300 + 10)
    #expect(plan.retire - plan.sign == 60 + 3_600 + 30 + 5)
    #expect(plan.gone - plan.retire == plan.spread)
    #expect(plan.steps.map(\.at) == plan.steps.map(\.at).sorted())
  }

  @Test func noTokenIsRefusedAndNoneIsAcceptedLate() {
    var random = Seeded(state: 1)
    for _ in 0..<1_000 {
      let inputs = Self.sane(&random)
      let plan = Rotation(inputs)
      let world = World(inputs)
      #expect(Rotation.refusal(inputs) == nil)
      #expect(!world.refuses(publish: plan.publish, sign: plan.sign, retire: plan.retire), "\(inputs)")
      #expect(world.lastTrust(retire: plan.retire) <= plan.gone, "\(inputs)")
    }
  }

  @Test func aTenthLessIsTooLittle() {
    var random = Seeded(state: 2)
    for _ in 0..<1_000 {
      let inputs = Self.sane(&random)
      let plan = Rotation(inputs)
      let world = World(inputs)
      let (wait, drain) = ((plan.sign - plan.publish) * 9 / 10, (plan.retire - plan.sign) * 9 / 10)
      #expect(world.refuses(publish: 0, sign: wait, retire: wait + plan.retire - plan.sign), "\(inputs)")
      #expect(world.refuses(publish: 0, sign: plan.sign, retire: plan.sign + drain), "\(inputs)")
      #expect(
        world.lastTrust(retire: plan.retire) > plan.retire + (plan.gone - plan.retire) * 9 / 10, "\(inputs)")
    }
  }

  @Test func anEmergencyTellsWhatIsRefusedAndWhatIsExposed() {
    let plan = Rotation(Self.inputs())
    #expect(plan.refusedFor == 360)
    #expect(Rotation(Self.inputs { $0.fetchesOnMiss = false }).refusedFor == plan.spread)
    #expect(plan.emergency.first { $0.name == "exposed" }?.at == plan.spread)
    #expect(plan.emergency.first { $0.name == "cut off" }?.at == 86_400)
  }

  @Test func whatNoScheduleHelpsAgainstIsTold() {
    #expect(Rotation(Self.inputs()).dangers.isEmpty)
    #expect(Rotation(Self.inputs { $0.hardLimit = 600 }).dangers.count == 1)
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
    #expect(Rotation.refusal(Self.inputs { $0.agelessCaches = 17 })?.hasPrefix("caches") == true)
  }

  private static func sane(_ random: inout Seeded) -> Rotation.Inputs {
    inputs {
      $0.tokenLifetime = .random(in: 60...86_400, using: &random)
      $0.cacheFreshness = .random(in: 1...7_200, using: &random)
      $0.agelessCaches = .random(in: 0...3, using: &random)
      $0.verifierInterval = .random(in: 15...7_200, using: &random)
      $0.propagation = .random(in: 0...600, using: &random)
      $0.leeway = .random(in: 0...120, using: &random)
      $0.skew = .random(in: 0...$0.leeway, using: &random)
    }
  }
}

/// One issuer, its caches and its slowest verifier, second by second as they could be.
private struct World {
  let inputs: Rotation.Inputs

  init(_ inputs: Rotation.Inputs) { self.inputs = inputs }

  /// The last second in which somebody has the set from before a change: each asked the one before it in the last
  /// second in which that one still had it.
  private func lastOldView(_ change: Int64) -> Int64 {
    var last = change + inputs.propagation - 1
    for _ in 0...inputs.agelessCaches { last += inputs.cacheFreshness }
    return last + inputs.verifierInterval
  }

  /// Whether a token that is alive is refused by a verifier that can ask: without a fetch for its kid, which a bound on
  /// fetches may deny.
  func refuses(publish: Int64, sign: Int64, retire: Int64) -> Bool {
    let isNewUnknown = sign <= lastOldView(publish)
    let lastOldToken = sign + inputs.propagation - 1
    let lastAcceptable = lastOldToken + inputs.tokenLifetime + inputs.leeway + inputs.skew - 1
    return isNewUnknown || lastAcceptable >= retire
  }

  func lastTrust(retire: Int64) -> Int64 { lastOldView(retire) }
}

/// SplitMix64: the same numbers at each run.
private struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
}
