/// Everything that verifiers meet: the issuer, the caches before it, and what of it is out of reach when.
final class World: Sendable {
  let scenario: Scenario
  let publication: Publication
  let shares: [SigningShare]
  let end: Int64
  /// When nobody is to trust a key any more.
  let gone: [Int64]
  let firstGone: Int64

  init(_ scenario: Scenario) {
    self.scenario = scenario
    end = scenario.duration
    gone = scenario.keys.indices.map { scenario.gone($0) }
    firstGone = gone.min() ?? .max
    let publication = Publication(scenario)
    self.publication = publication
    let oldest = scenario.groups.reduce(0) { max($0, $1.leeway + $1.clock.size + $1.skew) }
    let start = -(scenario.issuer.tokenLifetime + oldest + scenario.issuer.clock.size + 1_000)
    shares = scenario.keys.indices.map { SigningShare($0, publication, from: start) }
  }

  func ask(_ upstream: Upstream, _ time: Int64, _ chance: inout Chance) -> Reply {
    switch upstream {
    case .issuer(let server):
      if let outage = outage(.issuer, time) { return outage.reply }
      let server = server ?? Int(chance.below(Int64(publication.delays.count)))
      return .answer(Seen(set: publication.set(at: server, time), generated: time))
    case .cache(let cache):
      if let outage = outage(.cache(cache.layer), time) { return outage.reply }
      return cache.answer(time).map { .answer($0) } ?? ask(cache.upstream, time, &chance)
    }
  }

  /// Whether what is asked there asks the issuer.
  func reachesIssuer(_ upstream: Upstream, _ time: Int64) -> Bool {
    switch upstream {
    case .issuer: true
    case .cache(let cache):
      outage(.cache(cache.layer), time) == nil && cache.answer(time) == nil
        && reachesIssuer(cache.upstream, time)
    }
  }

  func outage(_ place: Scenario.Place, _ time: Int64) -> Scenario.Outage? {
    scenario.outages.first { $0.place == place && $0.from <= time && time < $0.to }
  }

  /// When a cache that has asked in vain asks again.
  func outageEnds(_ upstream: Upstream, after time: Int64) -> Int64 {
    let over: (Scenario.Place) -> Int64 = { self.outage($0, time)?.to ?? time }
    switch upstream {
    case .issuer: return max(time + 1_000, over(.issuer))
    case .cache(let cache):
      return max(over(.cache(cache.layer)), outageEnds(cache.upstream, after: time))
    }
  }
}

extension Scenario.Outage {
  fileprivate var reply: Reply { hangs ? .hangs : .fails(retryAfter: retryAfter) }
}

extension Int64 {
  fileprivate var size: Int64 { Int64(magnitude) }
}
