@testable import Keyturn

// Tokens between one thing and the next: who may begin a flight, who waits for it, who is refused.
extension VerifierLife {
  /// The first token of an unknown kid that may begin a flight, and its key; none for an attacker's.
  mutating func firstMiss(until due: Int64) -> (Int64, Int?)? {
    let limit = min(due, state.servedUntil(group.settings))
    guard now < limit, mayMiss(until: limit) else { return nil }
    let from = max(now, state.admission(group.settings, now: now))
    guard from < limit else { return nil }
    if let replay {
      return replay.token(from, limit) { key, time in key.map { !has($0) && mayAsk($0) <= time } ?? true }
    }
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
    if replay != nil { return true }
    if attacks.contains(where: { $0.from < limit && $0.to > now }) { return true }
    return listed.indices.contains { key in
      guard !has(key) else { return false }
      let comes = traffic.comes(key)
      return comes.from < limit && comes.to > now
    }
  }

  /// Nobody waits: what is not known is refused, up to when it might have asked. From then on none has come, or it would
  /// have begun a flight.
  mutating func judge(to time: Int64) {
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
  mutating func park(to time: Int64, _ opens: Bool) -> [Parked] {
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
      let count = replay?.count(key, from, time) ?? traffic.count(key, from, time)
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
}
