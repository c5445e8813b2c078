@testable import Keyturn

/// What `keyturn plan --json` says, as a scenario: its steps, before a fleet as its inputs describe it, with the worst
/// that they allow.
enum PlannedScenario {
  static func make(_ document: LinedValue) throws(Mistake) -> Scenario {
    var fields = try Fields(document, at: "")
    guard let value = try fields.value("inputs") else { throw fields.mistake("inputs", "required") }
    let isAgeTold = try Fields.flag("age_told", of: value, at: "inputs")
    let inputs = try read(value)
    if let refusal = Rotation.refusal(inputs) { throw fields.mistake("inputs", refusal) }
    var moments: [String: Int64] = [:]
    for (place, step) in try fields.list("steps").enumerated() {
      var fields = try Fields(step, at: "steps[\(place)]")
      guard let name = try fields.text("name"), let at = try fields.whole("at_seconds", 0...31_622_400) else {
        throw fields.mistake("", "needs name and at_seconds")
      }
      moments[name] = at
    }
    var scenario = scenario(inputs, isAgeTold: isAgeTold)
    guard let steps = steps(moments) else { throw fields.mistake("steps", "not those of a plan") }
    let lead = 60_000 * (1 + (steps.last?.at ?? 0) / 1_200_000)
    scenario.steps = steps.map { Scenario.Step(at: $0.at + lead, act: $0.act, key: $0.key) }
    scenario.duration = (scenario.steps.last?.at ?? 0) + lead
    guard scenario.duration <= Scenario.longest else {
      throw fields.mistake("steps", "they take longer than \(Span.exact(Scenario.longest))")
    }
    return scenario
  }

  /// A gateway with Keyturn or, where verifiers do not fetch for a token, one that is brought its keys.
  static func scenario(_ inputs: Rotation.Inputs, isAgeTold: Bool) -> Scenario {
    var scenario = Scenario(title: "a plan", isPlan: true, hasWorstCase: true, keys: ["old", "new"])
    scenario.issuer = Scenario.Issuer(
      freshness: max(1, inputs.cacheFreshness) * 1_000, tokenLifetime: inputs.tokenLifetime * 1_000,
      propagation: inputs.propagation * 1_000)
    scenario.caches = (0..<Int(inputs.caches)).map { place in
      Scenario.Cache(name: "cache \(place + 1)", nodes: 4, tellsAge: isAgeTold && place + 1 == inputs.caches)
    }
    var group = Scenario.Group(name: "gateways", count: 1_000, caches: Array(scenario.caches.indices))
    group.leeway = inputs.leeway * 1_000
    group.skew = inputs.skew * 1_000
    group.settings = settings(inputs, isAgeTold)
    group.pushedEvery = inputs.fetchesOnMiss ? nil : max(1, inputs.verifierInterval) * 1_000
    scenario.groups = [group]
    return scenario
  }

  /// Such that the slowest asks as seldom as it is said.
  private static func settings(_ inputs: Rotation.Inputs, _ isAgeTold: Bool) -> RefreshSettings {
    var settings = RefreshSettings()
    settings.demand.interval = inputs.missInterval * 1_000
    if inputs.verifierInterval != Rotation.interval(freshness: inputs.cacheFreshness, isAgeTold: isAgeTold) {
      settings.minFreshness = max(1_000, inputs.verifierInterval * 1_000 * 10 / 9)
      settings.maxFreshness = settings.minFreshness
    }
    settings.hardLimit = max(inputs.hardLimit * 1_000, settings.maxFreshness)
    settings.pinnedMaxAge = inputs.hardLimit * 1_000
    return settings
  }

  /// The two keys through a staged rotation, or through an emergency.
  private static func steps(_ at: [String: Int64]) -> [Scenario.Step]? {
    func step(_ seconds: Int64, _ act: Scenario.Step.Act, _ key: Int) -> Scenario.Step {
      Scenario.Step(at: seconds * 1_000, act: act, key: key)
    }
    if let publish = at["publish"], let sign = at["sign"], let retire = at["retire"], let gone = at["gone"] {
      return [
        step(publish, .publish, 1), step(sign, .sign, 1), step(retire, .retire, 0), step(gone, .gone, 0),
      ]
    }
    guard let replace = at["replace"], let exposed = at["exposed"] else { return nil }
    return [
      step(replace, .publish, 1), step(replace, .retire, 0), step(replace, .sign, 1), step(exposed, .gone, 0),
    ]
  }

  private static func read(_ value: LinedValue) throws(Mistake) -> Rotation.Inputs {
    var fields = try Fields(value, at: "inputs")
    func seconds(_ name: String) throws(Mistake) -> Int64 {
      guard let found = try fields.whole(name, 0...31_622_400) else { throw fields.mistake(name, "required") }
      return found
    }
    return Rotation.Inputs(
      tokenLifetime: try seconds("token_lifetime"), cacheFreshness: try seconds("freshness"),
      caches: try seconds("caches"), verifierInterval: try seconds("slowest_verifier"),
      propagation: try seconds("propagation"), leeway: try seconds("leeway"), skew: try seconds("skew"),
      hardLimit: try seconds("hard_limit"), fetchesOnMiss: try fields.flag("fetch_on_miss") ?? true,
      margin: try seconds("margin"))
  }
}

extension Fields {
  fileprivate static func flag(_ name: String, of value: LinedValue, at path: String) throws(Mistake) -> Bool
  {
    var fields = try Fields(value, at: path)
    return try fields.flag(name) ?? false
  }
}
