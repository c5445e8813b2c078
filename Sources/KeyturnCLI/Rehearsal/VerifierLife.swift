@testable import Keyturn

// One verifier from its start to its end, from one thing that happens to it to the next. The library's own refresh state
// decides when it asks and what becomes of the answer; here is only what the engine around it does: it asks the world,
// and it knows what tokens do in the meantime.
//
//   tick, or the first token that may ask -> flight -> answer -> set
//
// Tokens of a key that is not in the set are not looked at one by one. Until the first that may ask they are refused; it
// begins a flight; those that come until that ends wait for it, and are judged when it has ended.
struct VerifierLife {
  struct Parked {
    let key: Int
    let count: Double
  }

  let world: World
  let member: Fleet.Member
  let group: Scenario.Group
  let traffic: Traffic
  let attacks: [Scenario.Attack]
  let tally: RehearsalTally
  var chance: Chance
  var state: RefreshState
  var set: Publication.KeySet = 0
  var trusted: Publication.KeySet = 0
  var now: Int64
  /// Until when all tokens have been judged.
  var judged: Int64
  /// By key: since when it is on the list of refused kids.
  var listed: [Int64]
  /// What one had that has lived in earnest, instead of chance.
  var replay: Replay?

  init(_ world: World, _ member: Fleet.Member, _ tally: RehearsalTally) {
    self.world = world
    self.member = member
    self.tally = tally
    group = world.scenario.groups[member.group]
    chance = Chance(world.scenario.seed, 4, UInt64(member.group), UInt64(member.number))
    let skew = member.asks == nil ? chance.below(2 * group.skew + 1) - group.skew : -group.skew
    traffic = Traffic(
      world.shares, world.scenario, group, ahead: world.scenario.issuer.clock - group.clock - skew)
    attacks = world.scenario.attacks.filter { $0.group ?? member.group == member.group }
    let source: RefreshSource = world.scenario.issuer.isDiscovered ? .discovery : .keysURL
    state = RefreshState(group.pushedEvery == nil ? source : .pinned, group.settings)
    now = member.asks.map { $0.at - 1 } ?? 0
    judged = now
    listed = Array(repeating: .min / 2, count: world.scenario.keys.count)
    replay = member.asks == nil ? group.recorded.map { Replay($0) } : nil
  }

  mutating func live() {
    let start = now
    if let every = group.pushedEvery { bePushed(every) } else { fetch() }
    judge(to: world.end)
    let all = traffic.rate * Double(world.end - start)
    tally.begin(all)
    if traffic.outOfTime > 0 { tally.refuse(.clock, nil, all * traffic.outOfTime, start) }
  }

  // MARK: - Its keys

  private mutating func fetch() {
    begin()
    while now < world.end {
      let due = min(world.end, max(now + 1, state.deadline))
      if let (time, key) = firstMiss(until: due) {
        judge(to: time)
        obey(next(.missed), askedBy: key)
      } else {
        judge(to: due)
        guard now < world.end else { return }
        if traffic.rate > 0 { _ = next(.named) }
        obey(next(.tick), askedBy: nil)
      }
    }
  }

  private mutating func begin() {
    if let asks = member.asks { return beginBefore(asks.at, having: asks.having, spends: asks.isLate) }
    guard !group.isCold else { return obey(next(.start(stored: nil, isLazy: false)), askedBy: nil) }
    let freshness = group.settings.clampFreshness(world.scenario.issuer.freshness)
    let age = replay?.startsAt() ?? chance.below(freshness * 33 / 40)
    guard case .answer(let seen) = world.ask(member.upstream, -age, &chance) else { return }
    set = seen.set
    obey(next(.start(stored: accepted(seen, at: -age), isLazy: false)), askedBy: nil)
    noteTrust(isFirst: true)
  }

  /// It was started just before with what it had, so that its next fetch is due then. Of the fetches that tokens may ask
  /// for, others have used up what there was.
  private mutating func beginBefore(_ time: Int64, having set: Publication.KeySet, spends: Bool) {
    self.set = set
    let settings = group.settings
    let freshness = settings.clampFreshness(world.scenario.issuer.freshness)
    var stored = accepted(
      Seen(set: set, generated: 0), at: time - (freshness * 3 / 4 + freshness * 3 / 20 - 1))
    stored.generated = nil
    _ = state.next(.start(stored: stored, isLazy: false), settings, now: now, random: .max)
    if spends {
      var record = state.record
      for _ in 0..<settings.demand.burst { _ = record.demand.take(settings.demand, now: now) }
      _ = next(.synced(record, isOver: true))
    }
    noteTrust(isFirst: true)
  }

  private func accepted(_ seen: Seen, at time: Int64) -> RefreshRecord.Accepted {
    RefreshRecord.Accepted(
      began: time, freshness: group.settings.clampFreshness(left(seen)), limit: group.settings.hardLimit,
      digest: VerifierLife.digest(seen.set), generated: seen.generated / 1_000)
  }

  func left(_ seen: Seen) -> Int64 { max(0, world.scenario.issuer.freshness - seen.age * 1_000) }

  static func digest(_ set: Publication.KeySet) -> UInt64 { (set &+ 1) &* 0x9e37_79b9_7f4a_7c15 }

  /// Somebody brings what there is, in his own time.
  private mutating func bePushed(_ every: Int64) {
    var time = member.asks?.at ?? -chance.below(every)
    if let asks = member.asks {
      set = asks.having
      _ = next(.pushed(digest: VerifierLife.digest(set)))
      noteTrust(isFirst: true)
    }
    while time < world.end {
      if time > now { judge(to: time) }
      if outage(time) == nil, case .answer(let seen) = world.ask(member.upstream, time, &chance) {
        countRequest(time)
        let isFirst = trusted == 0 && time <= 0
        set = seen.set
        _ = state.next(
          .pushed(digest: VerifierLife.digest(set), freshness: left(seen)), group.settings, now: time,
          random: chance.word())
        noteTrust(isFirst: isFirst)
      }
      time += every
    }
  }

  mutating func next(_ event: RefreshEvent) -> RefreshAction {
    let random = replay?.jitter(of: event, state, group.settings, now) ?? chance.word()
    return state.next(event, group.settings, now: now, random: member.asks?.isLate == true ? .max : random)
  }

  private mutating func obey(_ action: RefreshAction, askedBy key: Int?) {
    switch action {
    case .begin(let flight): fly(flight, key.map { [Parked(key: $0, count: 1)] } ?? [])
    case .refuse: if let key { tally.refuse(.unknownKey, key, 1, now) }
    default: break
    }
  }
}
