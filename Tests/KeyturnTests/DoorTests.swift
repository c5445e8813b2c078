import Testing

@testable import Keyturn

@Suite struct DoorTests {
  private let terms: SourceTerms
  private let now: Int64 = 1_000_000

  init() throws {
    terms = try SourceTerms.make { _ in
      var record = SourceTerms.Record()
      record.kind = .keysURL
      return record
    }
  }

  /// Served, and left alone since nobody has named it.
  private func idle(servedAt now: Int64) -> RefreshState {
    var state = RefreshState(.keysURL, terms.settings)
    let stored = RefreshRecord.Accepted(began: now, freshness: 300_000, limit: 86_400_000, digest: 1)
    _ = state.next(.start(stored: stored, isLazy: true), terms.settings, now: now, random: 0)
    #expect(state.isIdle)
    return state
  }

  /// The engine found that nobody had named it; then somebody did, and only then was it published.
  @Test func aNameBetweenTheDecisionAndItsPublishingIsTold() {
    defer { terms.destroy() }
    let door = Door(key: HashKey(low: 1, high: 2))
    var state = idle(servedAt: now)
    let wasNamed = door.takeNamed()
    #expect(!wasNamed)
    door.name()
    let early = door.takeCalls()
    #expect(early == 0)
    door.publish(state, terms, now: now)
    let told = door.takeCalls()
    #expect(told == Door.Call.named)
    _ = state.next(.named, terms.settings, now: now, random: 0)
    #expect(!state.isIdle)
    door.publish(state, terms, now: now)
    let late = door.takeCalls()
    #expect(late == 0)
  }

  @Test func aNameAfterItIsToldByTheToken() {
    defer { terms.destroy() }
    let door = Door(key: HashKey(low: 1, high: 2))
    door.publish(idle(servedAt: now), terms, now: now)
    let before = door.takeCalls()
    #expect(before == 0)
    door.name()
    let told = door.takeCalls()
    #expect(told == Door.Call.named)
  }

  /// Naming it does not end that it is idle, so that telling would never end.
  @Test func whereNoKeyIsServedNobodyIsTold() {
    defer { terms.destroy() }
    let door = Door(key: HashKey(low: 1, high: 2))
    door.name()
    door.publish(idle(servedAt: now), terms, now: now + 86_400_000)
    let told = door.takeCalls()
    #expect(told == 0)
  }
}
