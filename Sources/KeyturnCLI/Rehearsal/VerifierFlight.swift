import Foundation

@testable import Keyturn

// A flight, from its launch to the judgement of those who waited for it.
extension VerifierLife {
  /// Those who asked for it are judged by what it brings; those who came later may ask for one more.
  mutating func fly(_ first: Flight, _ askers: [Parked]) {
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
    let recorded = replay?.fetch(at: now)
    tally.fetch(flight.reason)
    let mayGoOn = flight.discovery == .none || asksDiscovery(flight)
    let reply = mayGoOn ? ask(recorded?.at ?? now) : .fails(retryAfter: nil)
    let limit = min(state.flight?.endsBy ?? .max, began + group.settings.fetchTimeout)
    let arrives = recorded?.landed ?? began + group.latency / 2 + chance.below(group.latency + 1)
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

  private mutating func ask(_ time: Int64) -> Reply {
    if let outage = outage(time) { return outage.hangs ? .hangs : .fails(retryAfter: outage.retryAfter) }
    countRequest(time)
    return world.ask(member.upstream, time, &chance)
  }

  func countRequest(_ time: Int64) {
    if world.reachesIssuer(member.upstream, time) { tally.request(time) }
  }

  func outage(_ time: Int64) -> Scenario.Outage? { world.outage(.group(member.group), time) }

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
      guard replay != nil || chance.share() < isThere else { continue }
      asking.append(Parked(key: one.key, count: replay == nil ? one.count / isThere : one.count))
    }
    guard !asking.isEmpty else { return nil }
    guard case .begin(let flight) = next(.missed) else {
      for one in asking { tally.refuse(.unknownKey, one.key, one.count, now) }
      return nil
    }
    return (flight, asking)
  }

  func has(_ key: Int) -> Bool { set & (1 << UInt64(key)) != 0 }
}
