/// Who verifies, and by which way each of them asks.
struct Fleet {
  struct Member {
    let group: Int
    let number: Int
    let upstream: Upstream
    /// For one of the worst case: the moment at which it asks, with what it has until then.
    var asks: (at: Int64, having: Publication.KeySet, isLate: Bool)?
  }

  private let world: World
  /// By the way, each of the caches at its end.
  private var caches: [[Int]: [CacheHistory]] = [:]
  private(set) var members: [Member] = []
  /// When caches asked the issuer.
  private(set) var fills: [Int64] = []

  init(_ world: World) {
    self.world = world
    for (number, group) in world.scenario.groups.enumerated() {
      addCaches(group.caches)
      addMembers(number, group)
      if world.scenario.hasWorstCase { addWorstCase(number, group) }
    }
  }

  private mutating func addCaches(_ way: [Int]) {
    for length in way.indices.map({ $0 + 1 }) {
      let path = Array(way.prefix(length))
      guard caches[path] == nil else { continue }
      let layer = path[length - 1]
      let before = caches[Array(path.dropLast())] ?? []
      caches[path] = (0..<world.scenario.caches[layer].nodes).map { node in
        var chance = Chance(world.scenario.seed, 1, UInt64(layer), UInt64(length), UInt64(node))
        let upstream: Upstream =
          before.isEmpty
          ? .issuer(server: nil) : .cache(before[Int(chance.below(Int64(before.count)))])
        // Those that are nearer to the issuer begin earlier, so that they have something to give.
        let freshness = world.scenario.issuer.freshness
        let early = Int64(length - 18) * freshness - chance.below(freshness)
        let start = world.scenario.caches[layer].asked.first ?? early
        return CacheHistory(layer, world, from: start, upstream, &chance) { fills.append($0) }
      }
    }
  }

  private mutating func addMembers(_ group: Int, _ settings: Scenario.Group) {
    var chance = Chance(world.scenario.seed, 2, UInt64(group))
    let nearest = caches[settings.caches] ?? []
    for number in 0..<settings.count {
      let upstream: Upstream =
        nearest.isEmpty ? .issuer(server: nil) : .cache(nearest[Int(chance.below(Int64(nearest.count)))])
      members.append(Member(group: group, number: number, upstream: upstream))
    }
  }
}

// MARK: - The worst case

extension Fleet {
  /// For each change of the set, one verifier that learns of it as late as any can, and one that learns of it at once.
  private mutating func addWorstCase(_ group: Int, _ settings: Scenario.Group) {
    for (before, change) in zip(world.publication.changes, world.publication.changes.dropFirst()) {
      for isLate in [true, false] {
        let (upstream, time) = way(settings.caches, change, isLate)
        guard time < world.end else { continue }
        members.append(
          Member(
            group: group, number: members.count, upstream: upstream,
            asks: (max(1, time), before.set, isLate)))
      }
    }
  }

  /// Each asks the one before it in the last moment in which that one still has the old set; or in the first in which
  /// it has the new one.
  private mutating func way(_ way: [Int], _ change: Publication.Change, _ isLate: Bool) -> (Upstream, Int64) {
    let server = isLate ? world.publication.slowest : 0
    var chance = Chance(world.scenario.seed, 3)
    var time = change.at + world.publication.delays[server] - (isLate ? 1 : 0)
    var upstream = Upstream.issuer(server: server)
    for layer in way {
      let cache = CacheHistory(layer, world, from: time, upstream, &chance) { fills.append($0) }
      if isLate { time = (cache.freshUntil(time) ?? time) - 1 }
      upstream = .cache(cache)
    }
    return (upstream, time)
  }
}
