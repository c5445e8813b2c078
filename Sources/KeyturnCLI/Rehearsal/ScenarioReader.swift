import CKeyturnAPI
import Foundation

@testable import Keyturn

/// Reads a scenario, and says in which line what is wrong with it.
struct ScenarioReader {
  private var scenario = Scenario()
  /// By name, so that steps and places find them.
  private var keys: [String: Int] = [:]
  private var places: [String: Scenario.Place] = ["issuer": .issuer]

  static func read(_ path: String) throws(Complaint) -> Scenario {
    let data = try File.read(path)
    do throws(Mistake) {
      let document = try LinedValue.parse(data)
      if document["inputs"] != nil { return try PlannedScenario.make(document) }
      var reader = ScenarioReader()
      return try reader.read(document)
    } catch { throw Complaint("\(path):\(error.line): \(error.sentence)") }
  }

  private mutating func read(_ document: LinedValue) throws(Mistake) -> Scenario {
    var fields = try Fields(document, at: "")
    scenario.title = try fields.text("title") ?? ""
    scenario.seed = UInt64(try fields.whole("seed", 0...Int64(Scenario.mostSeed)) ?? 1)
    scenario.duration = try fields.span("duration", 1_000...Scenario.longest) ?? scenario.duration
    scenario.hasWorstCase = try fields.flag("worst_case") ?? false
    scenario.freshShare = try fields.number("fresh_share", 0...1) ?? scenario.freshShare
    try readIssuer(&fields)
    try readKeys(&fields)
    for (place, cache) in try fields.list("caches").enumerated() { try readCache(cache, place) }
    for (place, step) in try fields.list("steps").enumerated() { try readStep(step, place) }
    scenario.steps.sort { $0.at < $1.at }
    try readGroups(&fields)
    for (place, outage) in try fields.list("outages").enumerated() { try readOutage(outage, place) }
    for (place, attack) in try fields.list("attacks").enumerated() { try readAttack(attack, place) }
    try fields.end()
    return scenario
  }

  private mutating func readIssuer(_ outer: inout Fields) throws(Mistake) {
    guard let value = try outer.value("issuer") else { return }
    var fields = try Fields(value, at: "issuer")
    var issuer = scenario.issuer
    issuer.freshness = try fields.span("freshness", 1_000...Scenario.longest) ?? issuer.freshness
    issuer.freshness -= issuer.freshness % 1_000
    issuer.tokenLifetime = try fields.span("token_lifetime", 1...Scenario.longest) ?? issuer.tokenLifetime
    issuer.propagation = try fields.span("propagation", 0...86_400_000) ?? 0
    issuer.servers = Int(try fields.whole("servers", 1...64) ?? 3)
    issuer.clock = try fields.span("clock", -86_400_000...86_400_000) ?? 0
    issuer.isDiscovered = try fields.flag("discovery") ?? false
    try fields.end()
    scenario.issuer = issuer
  }

  private mutating func readKeys(_ fields: inout Fields) throws(Mistake) {
    let names = try fields.list("keys")
    guard !names.isEmpty else {
      throw fields.mistake("keys", "required: the names of those that are published at the start")
    }
    for (place, value) in names.enumerated() {
      guard case .text(let name) = value.value, keys[name] == nil, place < Scenario.mostKeys else {
        throw Mistake(line: value.line, sentence: "keys[\(place)]: not a name, or one that is there already")
      }
      _ = key(name)
    }
    scenario.published = names.count
  }

  private mutating func key(_ name: String) -> Int {
    if let known = keys[name] { return known }
    scenario.keys.append(name)
    keys[name] = scenario.keys.count - 1
    return scenario.keys.count - 1
  }

  private mutating func readStep(_ value: LinedValue, _ place: Int) throws(Mistake) {
    var fields = try Fields(value, at: "steps[\(place)]")
    let at = try fields.span("at", 0...scenario.duration) ?? 0
    let acts: [(String, Scenario.Step.Act)] = [
      ("publish", .publish), ("sign", .sign), ("retire", .retire), ("gone", .gone),
    ]
    var found = 0
    for (name, act) in acts {
      guard let text = try fields.text(name) else { continue }
      found += 1
      guard act == .publish || keys[text] != nil else { throw fields.mistake(name, "no key of this name") }
      scenario.steps.append(Scenario.Step(at: at, act: act, key: key(text)))
    }
    guard found > 0 else { throw fields.mistake("", "needs publish, sign, retire or gone, and a key's name") }
    guard scenario.keys.count <= Scenario.mostKeys else {
      throw fields.mistake("publish", "more than \(Scenario.mostKeys) keys")
    }
    try fields.end()
  }

  private mutating func readCache(_ value: LinedValue, _ place: Int) throws(Mistake) {
    var fields = try Fields(value, at: "caches[\(place)]")
    let name = try fields.text("name") ?? "cache \(place + 1)"
    try enter(name, .cache(place), &fields)
    let nodes = Int(try fields.whole("nodes", 1...1_000) ?? 1)
    let tellsAge = try fields.flag("tells_age") ?? true
    let asked = try fields.moments("asked")
    guard asked.isEmpty || nodes == 1 else {
      throw fields.mistake("asked", "of one node, and there are more")
    }
    try fields.end()
    scenario.caches.append(Scenario.Cache(name: name, nodes: nodes, tellsAge: tellsAge, asked: asked))
    let fills = Int64(nodes) * (scenario.duration / scenario.issuer.freshness + 2)
    guard place < 8, fills < 2_000_000 else {
      throw fields.mistake("nodes", "too many caches: at most 8 in a row, which ask 2,000,000 times each")
    }
  }

  private mutating func enter(_ name: String, _ place: Scenario.Place, _ fields: inout Fields) throws(Mistake)
  {
    guard places[name] == nil else { throw fields.mistake("name", "something of this name is there already") }
    places[name] = place
  }

  // MARK: - Verifiers

  private mutating func readGroups(_ fields: inout Fields) throws(Mistake) {
    let groups = try fields.list("verifiers")
    guard !groups.isEmpty else {
      throw fields.mistake("verifiers", "required: a list of objects, one at least")
    }
    for (place, group) in groups.enumerated() { try readGroup(group, place) }
    guard scenario.verifiers <= Scenario.mostVerifiers else {
      throw fields.mistake("verifiers", "more than \(Scenario.mostVerifiers) in all")
    }
    guard scenario.tokens < Scenario.mostTokens else {
      throw fields.mistake(
        "verifiers", "more than \(RehearsalReport.grouped(Int64(Scenario.mostTokens))) tokens in all")
    }
  }

  private mutating func readGroup(_ value: LinedValue, _ place: Int) throws(Mistake) {
    var fields = try Fields(value, at: "verifiers[\(place)]")
    var group = Scenario.Group(name: try fields.text("name") ?? "verifiers \(place + 1)")
    try enter(group.name, .group(place), &fields)
    group.count = Int(try fields.whole("count", 1...Int64(Scenario.mostVerifiers)) ?? 1)
    group.caches = try readWay(&fields)
    group.requestsPerSecond = try fields.number("requests_per_second", 0...1_000_000) ?? 1
    group.leeway = try fields.span("leeway", 0...86_400_000) ?? group.leeway
    group.clock = try fields.span("clock", -86_400_000...86_400_000) ?? 0
    group.skew = try fields.span("skew", 0...86_400_000) ?? 0
    group.latency = try fields.span("latency", 0...60_000) ?? group.latency
    group.pushedEvery = try fields.span("pushed_every", 1_000...Scenario.longest)
    group.isCold = try fields.flag("cold") ?? false
    group.recorded = try readRecord(&fields)
    guard group.recorded == nil || group.count == 1 else {
      throw fields.mistake("recorded", "of one verifier, and there are more")
    }
    group.settings = try readOptions(&fields)
    try fields.end()
    scenario.groups.append(group)
  }

  private func readRecord(_ outer: inout Fields) throws(Mistake) -> Scenario.Record? {
    guard let value = try outer.value("recorded") else { return nil }
    let place = outer.place("recorded")
    var fields = try Fields(value, at: place)
    var record = Scenario.Record()
    for (number, fetch) in try fields.list("fetches").enumerated() {
      var fields = try Fields(fetch, at: "\(place).fetches[\(number)]")
      let at = try fields.moment("at")
      let took = try fields.span("took", 0...Scenario.longest) ?? 0
      try fields.end()
      record.fetches.append(Scenario.Record.Fetch(at: at, landed: at + took))
    }
    for (number, token) in try fields.list("tokens").enumerated() {
      var fields = try Fields(token, at: "\(place).tokens[\(number)]")
      let at = try fields.moment("at")
      let name = try fields.text("key")
      guard name == nil || keys[name ?? ""] != nil else { throw fields.mistake("key", "no key of this name") }
      try fields.end()
      record.tokens.append(Scenario.Record.Token(at: at, key: name.flatMap { keys[$0] }))
    }
    try fields.end()
    record.fetches.sort { $0.at < $1.at }
    record.tokens.sort { $0.at < $1.at }
    return record
  }

  private func readWay(_ fields: inout Fields) throws(Mistake) -> [Int] {
    guard let names = try fields.optionalList("through") else { return Array(scenario.caches.indices) }
    var way: [Int] = []
    for name in names {
      guard case .text(let text) = name.value, case .cache(let cache) = places[text], cache > way.last ?? -1
      else {
        throw fields.mistake("through", "not names of caches, in their order from the issuer on")
      }
      way.append(cache)
    }
    return way
  }

  /// The library's own: it says what is wrong with them.
  private func readOptions(_ fields: inout Fields) throws(Mistake) -> RefreshSettings {
    guard let value = try fields.value("options") else { return RefreshSettings() }
    let place = fields.place("options")
    guard case .object(var options) = value.plain else { throw fields.mistake("options", "not an object") }
    options["issuer"] = .text("https://issuer.invalid")
    do throws(Complaint) {
      return try RefreshSettings.checked(IssuerSettings(.object(options), at: place), at: place)
    } catch { throw Mistake(line: value.line, sentence: error.description) }
  }

  // MARK: - What goes wrong

  private mutating func readOutage(_ value: LinedValue, _ place: Int) throws(Mistake) {
    var fields = try Fields(value, at: "outages[\(place)]")
    let name = try fields.text("of") ?? "issuer"
    guard let place = places[name] else {
      throw fields.mistake("of", "neither \"issuer\" nor a cache or verifiers of this name")
    }
    let (from, to) = try readTimes(&fields)
    let hangs = try fields.flag("hangs") ?? false
    let retryAfter = try fields.span("retry_after", 0...86_400_000)
    try fields.end()
    scenario.outages.append(
      Scenario.Outage(place: place, from: from, to: to, hangs: hangs, retryAfter: retryAfter))
  }

  private mutating func readAttack(_ value: LinedValue, _ place: Int) throws(Mistake) {
    var fields = try Fields(value, at: "attacks[\(place)]")
    var group: Int?
    if let name = try fields.text("on") {
      guard case .group(let found) = places[name] else {
        throw fields.mistake("on", "no verifiers of this name")
      }
      group = found
    }
    let (from, to) = try readTimes(&fields)
    guard let rate = try fields.number("random_kids_per_second", 0...1_000_000) else {
      throw fields.mistake("random_kids_per_second", "required: a number, for each verifier")
    }
    try fields.end()
    scenario.attacks.append(Scenario.Attack(group: group, from: from, to: to, kidsPerSecond: rate))
  }

  private func readTimes(_ fields: inout Fields) throws(Mistake) -> (Int64, Int64) {
    let from = try fields.span("at", 0...Scenario.longest) ?? 0
    return (from, from + (try fields.span("for", 0...Scenario.longest) ?? scenario.duration))
  }
}

extension RefreshSettings {
  /// The options by their names in keyturn.h, as the library takes and checks them.
  static func checked(_ options: IssuerSettings, at place: String) throws(Complaint) -> RefreshSettings {
    let result = options.withOptions { known in
      Result<RefreshSettings, Fault> { () throws(Fault) in try RefreshSettings(known) }
    }
    switch result {
    case .success(let settings): return settings
    case .failure(let fault): throw Complaint("\(place).\(fault.option): \(fault.sentence)")
    }
  }
}
