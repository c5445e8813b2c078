import Foundation

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
  private struct Parked {
    let key: Int
    let count: Double
  }

  private let world: World
  private let member: Fleet.Member
  private let group: Scenario.Group
  private let traffic: Traffic
  private let attacks: [Scenario.Attack]
  private let tally: RehearsalTally
  private var chance: Chance
  private var state: RefreshState
  private var set: Publication.KeySet = 0
  private var trusted: Publication.KeySet = 0
  private var now: Int64
  /// Until when all tokens have been judged.
  private var judged: Int64
  /// By key: since when it is on the list of refused kids.
  private var listed: [Int64]

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
    let age = chance.below(freshness * 33 / 40)
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

  private func left(_ seen: Seen) -> Int64 { max(0, world.scenario.issuer.freshness - seen.age * 1_000) }

  private static func digest(_ set: Publication.KeySet) -> UInt64 { (set &+ 1) &* 0x9e37_79b9_7f4a_7c15 }

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

  private mutating func next(_ event: RefreshEvent) -> RefreshAction {
    let random = member.asks?.isLate == true ? .max : chance.word()
    return state.next(event, group.settings, now: now, random: random)
  }

  private mutating func obey(_ action: RefreshAction, askedBy key: Int?) {
    switch action {
    case .begin(let flight): fly(flight, key.map { [Parked(key: $0, count: 1)] } ?? [])
    case .refuse: if let key { tally.refuse(.unknownKey, key, 1, now) }
    default: break
    }
  }
}

// MARK: - A flight

extension VerifierLife {
  /// Those who asked for it are judged by what it brings; those who came later may ask for one more.
  private mutating func fly(_ first: Flight, _ askers: [Parked]) {
    var (flight, askers) = (first, askers)
    while true {
      let opens = flight.opens
      let waiting = travel(flight, opens)
      guard now < world.end else { return }
      guard let further = settle(askers, waiting, opens) else { return }
      (flight, askers) = further
    }
  }

  /// From launch to landing; who has come meanwhile.
  private mutating func travel(_ flight: Flight, _ opens: Bool) -> [Parked] {
    _ = next(.launched(flight: flight.id))
    let began = now
    tally.fetch(flight.reason)
    let mayGoOn = flight.discovery == .none || asksDiscovery(flight)
    let reply = mayGoOn ? ask() : .fails(retryAfter: nil)
    let limit = min(state.flight?.endsBy ?? .max, began + group.settings.fetchTimeout)
    let arrives = began + group.latency / 2 + chance.below(group.latency + 1)
    var isLost = arrives >= limit
    if case .hangs = reply { isLost = true }
    let waiting = park(to: min(world.end, isLost ? limit : arrives), opens)
    guard now < world.end else { return waiting }
    land(flight, isLost ? .hangs : reply)
    return waiting
  }

  private mutating func asksDiscovery(_ flight: Flight) -> Bool {
    guard case .proceed = next(.furtherRequest(flight: flight.id)) else { return false }
    countRequest(now)
    return true
  }

  private mutating func ask() -> Reply {
    if let outage = outage(now) { return outage.hangs ? .hangs : .fails(retryAfter: outage.retryAfter) }
    countRequest(now)
    return world.ask(member.upstream, now, &chance)
  }

  private func countRequest(_ time: Int64) {
    if world.reachesIssuer(member.upstream, time) { tally.request(time) }
  }

  private func outage(_ time: Int64) -> Scenario.Outage? { world.outage(.group(member.group), time) }

  private mutating func land(_ flight: Flight, _ reply: Reply) {
    switch reply {
    case .hangs: _ = next(.tick)
    case .fails(let retryAfter): _ = next(.ended(flight: flight.id, .failed(retryAfter: retryAfter)))
    case .answer(let seen):
      let answer = Answer(
        freshness: group.settings.clampFreshness(left(seen)), generated: seen.generated / 1_000,
        isDiscovered: flight.discovery != .none)
      let end = FlightEnd.keys(answer, digest: VerifierLife.digest(seen.set), isEmpty: seen.set == 0)
      switch next(.ended(flight: flight.id, end)) {
      case .adopt:
        set = seen.set
        for key in listed.indices { listed[key] = .min / 2 }
      default: break
      }
    }
    noteTrust(isFirst: false)
  }

  /// Nil when nobody asks again.
  private mutating func settle(_ askers: [Parked], _ waiting: [Parked], _ opened: Bool) -> (Flight, [Parked])?
  {
    guard !(askers.isEmpty && waiting.isEmpty) else { return nil }
    let isServed = now < state.servedUntil(group.settings)
    if state.lastFlightFailed || !isServed {
      for one in askers + waiting where !(isServed && has(one.key)) {
        tally.refuse(.unavailable, one.key, one.count, now)
      }
      return nil
    }
    for asker in askers where !has(asker.key) {
      tally.refuse(.unknownKey, asker.key, asker.count, now)
      listed[asker.key] = now
    }
    return further(waiting.filter { !has($0.key) })
  }

  /// The flight had begun before they came: it can not be held against their key.
  private mutating func further(_ waiting: [Parked]) -> (Flight, [Parked])? {
    var asking: [Parked] = []
    for one in waiting {
      guard listed[one.key] < now else {
        tally.refuse(.unknownKey, one.key, one.count, now)
        continue
      }
      // A part of a token comes with that chance, and is a whole one then.
      let isThere = -expm1(-one.count)
      guard chance.share() < isThere else { continue }
      asking.append(Parked(key: one.key, count: one.count / isThere))
    }
    guard !asking.isEmpty else { return nil }
    guard case .begin(let flight) = next(.missed) else {
      for one in asking { tally.refuse(.unknownKey, one.key, one.count, now) }
      return nil
    }
    return (flight, asking)
  }

  private func has(_ key: Int) -> Bool { set & (1 << UInt64(key)) != 0 }
}

// MARK: - Tokens

extension VerifierLife {
  /// The first token of an unknown kid that may begin a flight, and its key; none for an attacker's.
  private mutating func firstMiss(until due: Int64) -> (Int64, Int?)? {
    let limit = min(due, state.servedUntil(group.settings))
    guard now < limit, mayMiss(until: limit) else { return nil }
    let from = max(now, state.admission(group.settings, now: now))
    guard from < limit else { return nil }
    var found: (Int64, Int?)?
    for key in listed.indices where !has(key) {
      guard let time = traffic.first(key, mayAsk(key), found?.0 ?? limit, &chance) else { continue }
      found = (time, key)
    }
    for attack in attacks where attack.kidsPerSecond > 0 {
      let start = max(from, attack.from)
      let time = start + Int64(min(chance.waiting() * 1_000 / attack.kidsPerSecond, 1e15))
      if time < min(attack.to, found?.0 ?? limit) { found = (time, nil) }
    }
    return found
  }

  /// From when on the next token of the key begins a flight.
  private func mayAsk(_ key: Int) -> Int64 {
    guard group.pushedEvery == nil else { return .max }
    return max(now, state.admission(group.settings, now: now), listed[key] + group.settings.refusedShort)
  }

  private func mayMiss(until limit: Int64) -> Bool {
    guard group.pushedEvery == nil else { return false }
    if attacks.contains(where: { $0.from < limit && $0.to > now }) { return true }
    return listed.indices.contains { key in
      guard !has(key) else { return false }
      let comes = traffic.comes(key)
      return comes.from < limit && comes.to > now
    }
  }

  /// Nobody waits: what is not known is refused, up to when it might have asked. From then on none has come, or it would
  /// have begun a flight.
  private mutating func judge(to time: Int64) {
    let from = judged
    guard from < time else { return }
    let served = max(from, min(time, state.servedUntil(group.settings)))
    if from < served {
      for key in listed.indices where !has(key) && traffic.comes(key).from < served {
        refuse(.unknownKey, key, from, min(served, mayAsk(key)))
      }
      noteLate(from, served)
    }
    judged = time
    now = max(now, time)
    guard served < time else { return }
    noteTrust(0, served, isFirst: false)
    refuse(.unavailable, nil, served, time)
  }

  /// Those who wait for the flight that ends then. Where no key is served, only for a first one.
  private mutating func park(to time: Int64, _ opens: Bool) -> [Parked] {
    let from = judged
    let served = max(from, min(time, state.servedUntil(group.settings)))
    guard opens || served == time else {
      judge(to: time)
      return []
    }
    judged = time
    now = time
    noteLate(from, served)
    var waiting: [Parked] = []
    for key in listed.indices where served < time || !has(key) {
      let count = traffic.count(key, from, time)
      if count > 0 { waiting.append(Parked(key: key, count: count)) }
    }
    return waiting.isEmpty ? waiting : bound(waiting, from, time)
  }

  /// More than so many may not wait, and attackers wait too.
  private func bound(_ waiting: [Parked], _ from: Int64, _ to: Int64) -> [Parked] {
    let strangers = attacks.reduce(0) { sum, attack in
      sum + attack.kidsPerSecond * Double(max(0, min(to, attack.to) - max(from, attack.from))) / 1_000
    }
    let all = waiting.reduce(strangers) { $0 + $1.count }
    let share = min(1, Double(group.settings.maxWaiters) / max(1, all))
    return waiting.map { one in
      if share < 1 { tally.refuse(.tooManyWait, one.key, one.count * (1 - share), to) }
      tally.wait(one.count * share)
      return Parked(key: one.key, count: one.count * share)
    }
  }

  private func refuse(_ why: RehearsalTally.Refusal, _ key: Int?, _ from: Int64, _ to: Int64) {
    let comes = key.map { traffic.comes($0) } ?? (from: from, to: to)
    let end = min(to, comes.to)
    var from = max(from, comes.from)
    while from < end {
      let next = min(end, (from / tally.bucket + 1) * tally.bucket)
      tally.refuse(why, key, key.map { traffic.count($0, from, next) } ?? traffic.all(from, next), from)
      from = next
    }
  }

  // MARK: - Trust

  /// Who has stolen a removed key uses it as often as good tokens come.
  private func noteLate(_ from: Int64, _ to: Int64) {
    guard world.firstGone < to else { return }
    for key in listed.indices where has(key) && world.gone[key] < to {
      let since = max(from, world.gone[key])
      tally.accept(late: key, traffic.rate * Double(to - since), for: to - world.gone[key])
    }
  }

  private mutating func noteTrust(isFirst: Bool) {
    noteTrust(now < state.servedUntil(group.settings) ? set : 0, now, isFirst: isFirst)
  }

  private mutating func noteTrust(_ new: Publication.KeySet, _ time: Int64, isFirst: Bool) {
    let changed = new ^ trusted
    guard changed != 0 else { return }
    trusted = new
    for key in listed.indices where changed & (1 << UInt64(key)) != 0 {
      tally.trust(key, new & (1 << UInt64(key)) != 0, time, isFirst: isFirst)
    }
  }
}
