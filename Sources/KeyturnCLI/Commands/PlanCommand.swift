import ArgumentParser
import Foundation

struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Computes when to publish, sign with and retire keys, so that no token is refused.",
    discussion: """
      Every interval comes with its reason. Times are written 90s, 15m, 2h or 1d. With --issuer or --jwks-url the \
      freshness is what the issuer says now; with --metrics also what gateways make of it.

      --retire tells when an old key may go that signs no more since --start (now, if nothing is said). It goes by the latest \
      exp among the tokens that gateways have accepted of it, if all of --metrics have counted them without a gap, for all \
      processes of a store; else it says which has not, and goes by --token-lifetime.

        keyturn plan --token-lifetime 1h --freshness 5m
        keyturn plan --token-lifetime 1h --issuer https://login.example.com --start 2026-12-01T08:00:00Z
        curl -s https://gateway.example.com/metrics | keyturn plan --token-lifetime 1h \
      --issuer https://login.example.com --metrics -
        keyturn plan --token-lifetime 1h --issuer https://login.example.com --retire 2026-05 --metrics gw1.metrics \
      --metrics gw2.metrics
        keyturn plan --token-lifetime 1h --freshness 5m --emergency

      Exit status: 0 planned, 2 no such plan is safe (or it takes longer than --within), 1 the inputs could not be had, \
      64 for a wrong command line.
      """)

  @Option(help: ArgumentHelp("The longest that a token lives.", valueName: "time")) var tokenLifetime: Seconds
  @Option(
    help: ArgumentHelp(
      "How long caches may keep the key set: max-age (default: as the issuer says, or 5 min).",
      valueName: "time"))
  var freshness: Seconds?
  @Option(
    help: ArgumentHelp(
      "The longest between two fetches of a verifier (default: as gateways with Keyturn's own defaults).",
      valueName: "time"))
  var slowestVerifier: Seconds?
  @Option(
    help: ArgumentHelp(
      "Caches in a row between issuer and verifiers; neighbours that tell Age count as one.",
      valueName: "number"))
  var caches: Int64 = 1
  @Flag(help: "The last of them tells Age.") var ageTold = false
  @Option(help: ArgumentHelp("Until every server of the issuer has a change.", valueName: "time"))
  var propagation = Seconds(60)
  @Option(help: ArgumentHelp("What verifiers add to exp.", valueName: "time")) var leeway = Seconds(30)
  @Option(help: ArgumentHelp("The most that clocks differ.", valueName: "time")) var skew = Seconds(0)
  @Option(help: ArgumentHelp("The age from which verifiers accept no key set.", valueName: "time"))
  var hardLimit = Seconds(86_400)
  @Option(help: ArgumentHelp("To spare.", valueName: "time")) var margin = Seconds(60)
  @Flag(help: "Verifiers do not fetch when a token names an unknown kid.") var noFetchOnMiss = false

  @OptionGroup(title: "A live issuer") var source: OptionalSource
  @Option(
    help: ArgumentHelp(
      "A gateway's metrics, in a file; - is standard input. May be repeated.", valueName: "path"))
  var metrics: [String] = []
  @Option(help: ArgumentHelp("When this old key may go, by what --metrics tell of it.", valueName: "kid"))
  var retire: String?

  @Flag(help: "The old key is in wrong hands.") var emergency = false
  @Option(
    help: ArgumentHelp("When it begins, or the old key has signed last: dates are shown.", valueName: "time"))
  var start: String?
  @Option(help: ArgumentHelp("The longest that it may take.", valueName: "time")) var within: Seconds?
  @Flag(help: "Write JSON.") var json = false

  func validate() throws {
    guard start.map({ Moment.seconds($0) != nil }) ?? true else {
      throw ValidationError("--start: neither Unix seconds nor like 2026-11-21T10:00:00Z.")
    }
    guard metrics.isEmpty || source.issuer != nil else { throw ValidationError("--metrics needs --issuer.") }
    guard let retire else { return }
    guard !retire.isEmpty, !metrics.isEmpty, !emergency else {
      throw ValidationError("--retire needs a kid and --metrics, and is no --emergency.")
    }
    guard begin ?? 0 <= Clock.now else {
      throw ValidationError("--retire: until --start, which is to come, the old key signs.")
    }
  }

  func run() throws {
    try orComplain {
      let gateways = try metrics.map { path in (path: path, metrics: try GatewayMetrics(at: path)) }
      let inputs = try inputs(gateways)
      if let refusal = Rotation.refusal(inputs) { throw Complaint(refusal) }
      let plan = plan(Rotation(inputs), gateways)
      if json { Terminal.line(document(plan).written()) } else { show(plan) }
      if !plan.dangers.isEmpty { throw Exit.refused }
    }
  }

  /// What is told.
  private struct Plan {
    let rotation: Rotation
    let retirement: Retirement?
    let steps: [Rotation.Step]
    let dangers: [String]
    let warnings: [String]
    /// Unix seconds; nil: no dates are shown.
    let start: Int64?
  }

  private typealias Gateways = [(path: String, metrics: GatewayMetrics)]

  private var begin: Int64? { start.flatMap(Moment.seconds) }

  private func plan(_ rotation: Rotation, _ gateways: Gateways) -> Plan {
    let now = Clock.now
    let retirement = retire.map { kid in
      Retirement(
        kid: kid,
        gateways: gateways.map { gateway in
          let uses = gateway.metrics.uses(of: kid, from: source.issuer ?? "")
          return Retirement.Gateway(path: gateway.path, uses: uses)
        }, rotation: rotation, start: begin ?? now, now: now)
    }
    let steps = retirement?.steps ?? (emergency ? rotation.emergency : rotation.steps)
    return Plan(
      rotation: rotation, retirement: retirement, steps: steps,
      dangers: rotation.dangers + (retirement?.dangers ?? []) + late(steps),
      warnings: rotation.warnings + (retirement?.warnings ?? []), start: retirement?.start ?? begin)
  }

  private func inputs(_ gateways: Gateways) throws -> Rotation.Inputs {
    let fresh = try freshness?.count ?? source.freshness() ?? 300
    let seen = try gateways.map { gateway throws(Complaint) in
      guard let seen = gateway.metrics.freshness(of: source.issuer ?? "") else {
        throw Complaint("\(gateway.path): the metrics say nothing of this issuer's key set")
      }
      return seen
    }
    let asked = Rotation.interval(freshness: max(seen.max() ?? fresh, fresh), isAgeTold: ageTold)
    return Rotation.Inputs(
      tokenLifetime: tokenLifetime.count, cacheFreshness: fresh, caches: caches,
      verifierInterval: slowestVerifier?.count ?? asked, propagation: propagation.count,
      leeway: leeway.count, skew: skew.count, hardLimit: hardLimit.count, fetchesOnMiss: !noFetchOnMiss,
      margin: margin.count)
  }

  private func late(_ steps: [Rotation.Step]) -> [String] {
    let end = steps.first { $0.name == (emergency ? "served" : "gone") }?.at ?? 0
    guard let within, end > within.count else { return [] }
    return ["it takes \(Span.text(end)), and may take \(Span.text(within.count))"]
  }

  private func date(_ step: Rotation.Step, _ plan: Plan) -> String? {
    plan.start.map { Moment.text($0 + step.at) }
  }

  private func show(_ plan: Plan) {
    for step in plan.steps {
      let time = date(step, plan) ?? "+ \(Span.text(step.at))"
      Terminal.line("\(Terminal.coloured(time.padded(22), .strong)) \(step.name.padded(8)) \(step.action)")
      Terminal.line(String(repeating: " ", count: 32) + Terminal.coloured(step.why, .quiet))
    }
    for danger in plan.dangers { Terminal.line("\(Terminal.coloured("NOT SAFE:", .bad)) \(danger)") }
    for warning in plan.warnings { Terminal.line("\(Terminal.coloured("mind:", .doubtful)) \(warning)") }
  }

  private func document(_ plan: Plan) -> JSON {
    let told = plan.steps.map { step in
      JSON.object([
        "name": .text(step.name), "at_seconds": .number(step.at), "at": JSON(date(step, plan)),
        "action": .text(step.action), "why": .text(step.why),
      ])
    }
    let inputs = plan.rotation.inputs
    return .object([
      "steps": .list(told), "dangers": .list(plan.dangers.map { .text($0) }),
      "warnings": .list(plan.warnings.map { .text($0) }), "retirement": plan.retirement?.json ?? .null,
      "inputs": .object([
        "token_lifetime": .number(inputs.tokenLifetime), "freshness": .number(inputs.cacheFreshness),
        "caches": .number(inputs.caches), "age_told": .flag(ageTold),
        "slowest_verifier": .number(inputs.verifierInterval),
        "propagation": .number(inputs.propagation), "leeway": .number(inputs.leeway),
        "skew": .number(inputs.skew),
        "hard_limit": .number(inputs.hardLimit), "margin": .number(inputs.margin),
        "fetch_on_miss": .flag(inputs.fetchesOnMiss),
      ]),
    ])
  }
}

/// An issuer to be asked, if one is named.
struct OptionalSource: ParsableArguments {
  @Option(help: ArgumentHelp("The issuer, found by discovery.", valueName: "url")) var issuer: String?
  @Option(name: .customLong("jwks-url"), help: ArgumentHelp("Where its JWK Set is.", valueName: "url"))
  var jwksURL: String?
  @Flag(help: "Take http URLs too.") var allowHTTP = false
  @Option(
    help: ArgumentHelp("PEM file of the authorities that its certificate may be from.", valueName: "path"))
  var caFile: String?

  /// As a verifier without bounds of its own takes it; nil where nobody is asked, or nothing is said.
  func freshness() throws(Complaint) -> Int64? {
    guard issuer != nil || jwksURL != nil else { return nil }
    var values: [String: JSON] = [
      "issuer": .text(issuer ?? SourceArguments.nameless), "allow_http": .flag(allowHTTP),
      "min_freshness_ms": .number(1_000), "max_freshness_ms": .number(604_800_000),
      "hard_limit_ms": .number(604_800_000),
    ]
    if let jwksURL { values["jwks_url"] = .text(jwksURL) } else { values["discovery"] = .text("openid") }
    if let caFile { values["ca_file"] = .text(caFile) }
    let bench = try Bench(IssuerSettings(.object(values), at: "options"))
    _ = try KeySet(bench)
    let stats = bench.issuer.stats
    let age = bench.published?.fields["age"].flatMap { Int32($0) } ?? 0
    return (stats.fresh_ms + stats.age_ms + 999) / 1_000 + Int64(age)
  }
}
