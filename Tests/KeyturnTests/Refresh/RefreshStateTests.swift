// Every event in every situation, and then the rules of acceptance one by one.
import Testing

@testable import Keyturn

/// One issuer and its clock, in the middle of chance.
struct Patient {
  var settings = RefreshSettings()
  var state: RefreshState
  var now: Int64 = 1_000_000_000
  var random: UInt64 = 1 << 63

  init(_ source: RefreshSource = .keysURL, _ change: (inout RefreshSettings) -> Void = { _ in }) {
    change(&settings)
    state = RefreshState(source, settings)
  }

  @discardableResult
  mutating func on(_ event: RefreshEvent) -> RefreshAction {
    state.next(event, settings, now: now, random: random)
  }

  mutating func say(_ event: RefreshEvent) -> String { on(event).name }

  var flight: UInt64 { state.flight?.id ?? 0 }
  var phase: SourceState { state.state(settings, now: now) }
  /// Negative if nothing is served.
  var servedFor: Int64 { max(state.servedUntil(settings), -1) - now }

  /// Launches what has begun, and ends it with a set.
  @discardableResult
  mutating func land(
    _ digest: UInt64 = 1, isEmpty: Bool = false, generated: Int64? = nil, freshness: Int64 = 300_000,
    after: Int64 = 100
  ) -> RefreshAction {
    let answer = Answer(freshness: freshness, generated: generated, isDiscovered: state.source == .discovery)
    return land(.keys(answer, digest: digest, isEmpty: isEmpty), after: after)
  }

  @discardableResult
  mutating func land(_ end: FlightEnd, after: Int64 = 100) -> RefreshAction {
    on(.launched(flight: flight))
    now += after
    return on(.ended(flight: flight, end))
  }

  /// Goes to the next deadline, and ticks.
  @discardableResult
  mutating func tick() -> RefreshAction {
    if state.deadline != .max { now = max(now, state.deadline) }
    return on(.tick)
  }

  mutating func fails(_ times: Int = 1) {
    for _ in 0..<times {
      if state.flight == nil { while state.flight == nil { tick() } }
      land(.failed(retryAfter: nil))
    }
  }
}

extension RefreshAction {
  var name: String {
    switch self {
    case .nothing: "nothing"
    case .begin(let flight): "begin \(flight.reason)"
    case .abandon: "abandon"
    case .adopt: "adopt"
    case .renew: "renew"
    case .hold(let reason): "hold \(reason)"
    case .fail: "fail"
    case .wake: "wake"
    case .rest: "rest"
    case .warn: "warn"
    case .proceed: "proceed"
    case .stop: "stop"
    case .pending: "pending"
    case .refuse(let reason): "refuse \(reason)"
    case .unavailable: "unavailable"
    case .askAgain: "askAgain"
    case .tooOften: "tooOften"
    }
  }
}

/// What an issuer can be in the middle of.
enum Situation: String, CaseIterable {
  case lazy, opening, failing, fresh, flying, backingOff, stale, expired, elsewhere, idle, pinned, disabled

  var patient: Patient {
    var patient = Patient(self == .pinned ? .pinned : .keysURL)
    patient.on(.start(stored: nil, isLazy: self == .lazy))
    if self == .lazy || self == .opening { return patient }
    if self == .failing {
      patient.land(.failed(retryAfter: nil))
      return patient
    }
    if self == .pinned { patient.on(.pushed(digest: 1)) } else { patient.land() }
    patient.now += 1_000
    switch self {
    case .flying:
      patient.on(.missed)
      patient.on(.launched(flight: patient.flight))
    case .backingOff:
      patient.on(.missed)
      patient.land(.failed(retryAfter: nil))
    case .stale: patient.now += 300_000
    case .expired: patient.now += 86_400_000
    case .elsewhere: patient.on(.takenElsewhere(since: patient.now))
    case .idle:
      patient.now += 86_400_000
      patient.on(.tick)
    case .disabled: patient.on(.disabled)
    default: break
    }
    return patient
  }
}

@Suite struct RefreshStateTableTests {
  /// The answer to each event, in the order of the situations.
  static let table: [(String, @Sendable (Patient) -> RefreshEvent, String)] = [
    (
      "tick", { _ in .tick },
      "nothing | nothing | nothing | nothing | nothing | nothing | begin schedule | rest | nothing | nothing | nothing | nothing"
    ),
    (
      "named", { _ in .named },
      "nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
    (
      "asked", { _ in .asked },
      "begin start | pending | unavailable | askAgain | askAgain | askAgain | askAgain | unavailable | askAgain"
        + " | begin schedule | unavailable | unavailable"
    ),
    (
      "missed", { _ in .missed },
      "begin start | pending | unavailable | begin missingKid | pending | refuse backingOff | begin missingKid"
        + " | unavailable | pending | begin schedule | refuse notFetched | unavailable"
    ),
    (
      "bad signature", { _ in .badSignature },
      "refuse notFetched | refuse notFetched | refuse notFetched | refuse notFetched | refuse notFetched"
        + " | refuse notFetched | refuse notFetched | refuse notFetched | refuse notFetched | refuse notFetched"
        + " | refuse notFetched | refuse notFetched"
    ),
    (
      "operator", { _ in .askedByOperator },
      "begin byOperator | pending | begin byOperator | begin byOperator | pending | begin byOperator | begin byOperator"
        + " | begin byOperator | pending | begin byOperator | refuse notFetched | refuse notFetched"
    ),
    (
      "launched", { .launched(flight: $0.flight) },
      "stop | proceed | stop | stop | proceed | stop | stop | stop | stop | stop | stop | stop"
    ),
    (
      "further request", { .furtherRequest(flight: $0.flight) },
      "stop | proceed | stop | stop | proceed | stop | stop | stop | stop | stop | stop | stop"
    ),
    (
      "304", { .ended(flight: $0.flight, .notModified(Answer(freshness: 300_000))) },
      "nothing | fail | nothing | nothing | renew | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
    (
      "the same set",
      { .ended(flight: $0.flight, .keys(Answer(freshness: 300_000), digest: 1, isEmpty: false)) },
      "nothing | adopt | nothing | nothing | renew | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
    (
      "another set",
      { .ended(flight: $0.flight, .keys(Answer(freshness: 300_000), digest: 2, isEmpty: false)) },
      "nothing | adopt | nothing | nothing | adopt | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
    (
      "an empty set",
      { .ended(flight: $0.flight, .keys(Answer(freshness: 300_000), digest: 3, isEmpty: true)) },
      "nothing | hold emptied | nothing | nothing | hold emptied | nothing | nothing | nothing | nothing | nothing"
        + " | nothing | nothing"
    ),
    (
      "a failure", { .ended(flight: $0.flight, .failed(retryAfter: nil)) },
      "nothing | fail | nothing | nothing | fail | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
    (
      "404", { .ended(flight: $0.flight, .gone) },
      "nothing | fail | nothing | nothing | fail | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
    (
      "another flight's end", { .ended(flight: $0.flight + 1, .failed(retryAfter: nil)) },
      "nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
    (
      "taken elsewhere", { .takenElsewhere(since: $0.now) },
      "pending | pending | pending | pending | proceed | pending | pending | pending | pending | pending | nothing | nothing"
    ),
    (
      "taken elsewhere, long ago", { .takenElsewhere(since: $0.now - 15_000) },
      "proceed | proceed | proceed | proceed | proceed | proceed | proceed | proceed | proceed | proceed | nothing | nothing"
    ),
    (
      "synced, nothing new", { .synced($0.state.record, isOver: true) },
      "nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | fail | nothing | nothing | nothing"
    ),
    (
      "synced, another set", { .synced(record($0, digest: 2), isOver: true) },
      "adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt"
    ),
    (
      "synced, confirmed", { .synced(record($0, digest: 1), isOver: true) },
      "adopt | adopt | adopt | renew | renew | renew | renew | renew | renew | renew | renew | renew"
    ),
    (
      "pushed", { _ in .pushed(digest: 2) },
      "adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt | adopt | nothing"
    ),
    (
      "other bounds", { .updated($0.state.source, asksAnew: false, isEmptied: false) },
      "nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
    (
      "another place", { _ in .updated(.discovery, asksAnew: true, isEmptied: false) },
      "nothing | begin start | begin retry | begin schedule | begin schedule | begin retry | begin schedule"
        + " | rest | begin schedule | nothing | begin schedule | nothing"
    ),
    (
      "rules that no key obeys", { _ in .updated(.keysURL, asksAnew: true, isEmptied: true) },
      "nothing | begin start | begin retry | begin start | begin start | begin retry | begin start | rest"
        + " | begin start | nothing | begin start | nothing"
    ),
    (
      "no place any more", { _ in .updated(.pinned, asksAnew: true, isEmptied: false) },
      "nothing | wake | nothing | nothing | wake | nothing | nothing | nothing | wake | nothing | nothing | nothing"
    ),
    (
      "disabled", { _ in .disabled },
      "wake | abandon | wake | wake | abandon | wake | wake | wake | wake | wake | wake | wake"
    ),
    (
      "enabled", { _ in .enabled },
      "nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing | nothing"
    ),
  ]

  /// As another process would leave it.
  private static func record(_ patient: Patient, digest: UInt64) -> RefreshRecord {
    var record = patient.state.record
    record.accepted = RefreshRecord.Accepted(
      began: patient.now, freshness: 300_000, limit: 86_400_000, digest: digest)
    return record
  }

  @Test(arguments: Situation.allCases.indices)
  func eachEventHasItsAnswer(_ column: Int) {
    let situation = Situation.allCases[column]
    var asked = 0
    for (name, event, answers) in Self.table {
      var patient = situation.patient
      let expected = answers.components(" | ")
      #expect(expected.count == Situation.allCases.count, "\(name)")
      let action = patient.say(event(patient))
      #expect(action == expected[column], "\(situation.rawValue): \(name)")
      asked += 1
    }
    #expect(asked == Self.table.count)
  }

  @Test func theSituationsAreWhatTheyAreCalled() {
    let phases: [SourceState] = [
      .empty, .empty, .empty, .fresh, .fresh, .fresh, .stale, .expired, .fresh, .expired, .pinned, .disabled,
    ]
    #expect(Situation.allCases.map(\.patient.phase) == phases)
  }

  /// Whatever happens next, the engine can rely on this.
  @Test(arguments: Situation.allCases)
  func afterEachEventTheStateIsWhole(_ situation: Situation) {
    for (name, event, _) in Self.table {
      var patient = situation.patient
      let action = patient.on(event(patient))
      if case .begin(let flight) = action { #expect(patient.flight == flight.id, "\(name)") }
      if case .pending(let flight) = action { #expect(patient.flight == flight, "\(name)") }
      if case .abandon = action { #expect(patient.state.flight == nil, "\(name)") }
      if patient.state.flight == nil, !patient.state.isIdle, patient.state.source != .pinned,
        patient.phase != .disabled
      {
        #expect(
          patient.state.deadline < patient.now + 300_000,
          "\(situation.rawValue): \(name) leaves it without a next attempt")
      }
    }
  }
}

extension String {
  fileprivate func components(_ separator: String) -> [String] {
    var parts: [String] = []
    var rest = Substring(self)
    while let range = rest.firstRange(of: separator) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return parts + [String(rest)]
  }
}
