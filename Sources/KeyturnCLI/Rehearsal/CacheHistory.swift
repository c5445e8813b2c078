/// What who asks is given.
struct Seen {
  var set: Publication.KeySet
  /// As it is told, in whole seconds.
  var age: Int64 = 0
  /// When the answer was made, by what it says.
  var generated: Int64
}

enum Reply {
  case answer(Seen)
  case fails(retryAfter: Int64?)
  case hangs
}

/// Where verifiers and caches ask.
enum Upstream {
  /// One of its servers, or any of them.
  case issuer(server: Int?)
  case cache(CacheHistory)
}

/// One cache, from beginning to end. Others ask it too, all the time: whenever what it has is not fresh any more, it asks
/// for it again. So what it has does not depend on who verifies, and can be told for all of the time beforehand.
final class CacheHistory: Sendable {
  private struct Held {
    let from: Int64
    let until: Int64
    let seen: Seen
  }

  let layer: Int
  let start: Int64
  let upstream: Upstream
  private let held: [Held]
  private let tellsAge: Bool

  /// `fills` is told of each request that it makes.
  init(
    _ layer: Int, _ world: World, from start: Int64, _ upstream: Upstream, _ chance: inout Chance,
    fills: (Int64) -> Void
  ) {
    self.layer = layer
    self.start = start
    self.upstream = upstream
    tellsAge = world.scenario.caches[layer].tellsAge
    let asked = world.scenario.caches[layer].asked
    var held: [Held] = []
    var time = start
    while time < world.end {
      if case .issuer = upstream { fills(time) }
      guard case .answer(let seen) = world.ask(upstream, time, &chance) else {
        time = world.outageEnds(upstream, after: time)
        continue
      }
      let age = tellsAge ? seen.age * 1_000 : 0
      let until = time + max(1, world.scenario.issuer.freshness - age)
      held.append(Held(from: time, until: until, seen: seen))
      // Others asked a little later, in earnest.
      time = asked.first { $0 >= until && $0 <= until + Replay.lateness } ?? until
    }
    self.held = held
  }

  /// Nil where it has nothing that is fresh.
  func answer(_ time: Int64) -> Seen? {
    guard let held = latest(time), time < held.until else { return nil }
    guard tellsAge else { return Seen(set: held.seen.set, generated: time) }
    return Seen(
      set: held.seen.set, age: held.seen.age + (time - held.from) / 1_000, generated: held.seen.generated)
  }

  func freshUntil(_ time: Int64) -> Int64? { latest(time).map { max(time, $0.until) } }

  private func latest(_ time: Int64) -> Held? {
    var (low, high) = (0, held.count)
    while low < high {
      let middle = (low + high) / 2
      if held[middle].from <= time { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? held[low - 1] : nil
  }
}
