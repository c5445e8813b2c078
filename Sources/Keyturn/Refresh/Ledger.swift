/// What has happened at one issuer: plain words in the order in which `jwks_issuer_stats` ends, so that they can be
/// copied as they are. Under the control lock.
struct Ledger {
  private let words: Items<UInt64>

  /// Where each stands; those with several begin there.
  enum Word: Int {
    /// Sets that were put in force.
    case generation = 0
    /// Four words.
    case digest = 1
    case ended = 5
    /// Eight, by `FlightReason`.
    case byReason = 6
    /// Thirty-two, by `FlightResult`.
    case byResult = 14
    case octets = 46
    case duration = 47
    case lastDuration = 48
    case keysAdded = 49
    case keysRemoved = 50
    case disjointSets = 51
    case duplicateKids = 52
    case revokedKeys = 53
    /// Thirty-two, by `KeyFault`.
    case dropped = 54
  }

  static var count: Int { 86 }
  static var none: Ledger { Ledger(.none) }

  /// Whether it is a count, so that those of several processes can be added up, each event in one of them.
  static func isSummed(_ position: Int) -> Bool {
    position >= Word.ended.rawValue && position != Word.lastDuration.rawValue
  }

  /// Over zeroed words, `count` of them.
  init(_ words: Items<UInt64>) { self.words = words }

  func number(_ word: Word, _ offset: Int = 0) -> UInt64 { number(at: word.rawValue &+ offset) }

  func number(at position: Int) -> UInt64 { words.item(at: position) ?? 0 }

  func set(_ number: UInt64, _ word: Word, _ offset: Int = 0) {
    words.set(number, at: word.rawValue &+ offset)
  }

  func add(_ word: Word, _ offset: Int = 0, by number: Int = 1) {
    set(self.number(word, offset) &+ UInt64(truncatingIfNeeded: number), word, offset)
  }
}

/// What became of a flight. The numbers are those of `jwks_fetch_result` in keyturn.h, whose comments say what each
/// means; from `refused` to `other` they are four more than those of `jwks_fetch_failure`.
enum FlightResult: UInt8, BitwiseCopyable {
  case adopted = 0
  case unchanged = 1
  case notModified = 2
  case emptied = 3
  case regressed = 4
  case refused = 5
  case resolve = 6
  case connect = 7
  case tls = 8
  case timeout = 9
  case tooLarge = 10
  case broken = 11
  case cancelled = 12
  case other = 13
  case httpStatus = 14
  case document = 15
  case discovery = 16
  case local = 17

  var isSuccess: Bool { rawValue <= FlightResult.notModified.rawValue }

  /// As the fetcher's answer alone has it, should nothing come of it.
  init(_ answer: FetchAnswer, isDiscovery: Bool) {
    guard answer.failure == 0 else {
      self = FlightResult(rawValue: answer.failure &+ 4) ?? .other
      return
    }
    self = answer.status != 200 ? .httpStatus : isDiscovery ? .discovery : .document
  }
}

/// What a source notes down of its flights.
struct FlightNotes: BitwiseCopyable {
  /// What the flight under way has failed by, if it has.
  var failure = FlightResult.local
  /// Of the last that succeeded and failed; nil if none has.
  var succeeded: Int64?
  var failed: Int64?
  var lastFailure = FlightResult.local
  /// The last flight did not succeed.
  var isFailing = false
  var hasExpired = false
  /// When kids that were missed were last counted, and what had been until then.
  var minute: Int64?
  var misses: UInt64 = 0
  var refused: UInt64 = 0
  /// In a minute, as it has been.
  var usual: UInt64 = 0
}

extension Source {
  /// An answer of the flight under way, before it is judged.
  func saw(_ fetch: Fetch) {
    ledger.add(.octets, by: fetch.body.count)
    notes.failure = FlightResult(fetch.answer, isDiscovery: fetch.ticket.isDiscovery)
  }

  /// What has been decided. `flight` is the one that was under way before.
  func note(_ event: RefreshEvent, _ action: RefreshAction, _ flight: Flight?, now: Int64) {
    noteState(now)
    noteMisses(now)
    switch (event, action) {
    case (_, .warn): teller.tell(Event(state.source == .pinned ? .endNear : .stale), at: now)
    case (.pushed, .adopt): succeed(now)
    case (_, .abandon(let id)):
      // The end of an issuer is no failure of a flight.
      guard let flight, flight.id == id, now >= flight.endsBy else { return }
      landed(flight, .timeout, now)
    case (.ended(_, let end), let action):
      guard let flight, let result = result(end, action) else { return }
      landed(flight, result, now)
    default: return
    }
  }

  private func result(_ end: FlightEnd, _ action: RefreshAction) -> FlightResult? {
    switch action {
    case .adopt: .adopted
    case .renew: if case .notModified = end { .notModified } else { .unchanged }
    case .hold(.emptied): .emptied
    case .hold(.regressed): .regressed
    case .fail: notes.failure
    default: nil
    }
  }

  private func landed(_ flight: Flight, _ result: FlightResult, _ now: Int64) {
    let duration = Int(truncatingIfNeeded: max(0, now &- flight.began))
    ledger.add(.ended)
    ledger.add(.byReason, Int(flight.reason.rawValue))
    ledger.add(.byResult, Int(result.rawValue))
    ledger.add(.duration, by: duration)
    ledger.set(UInt64(truncatingIfNeeded: duration), .lastDuration)
    notes.failure = .local
    if result.isSuccess { succeed(now) } else { fail(result, now) }
  }

  private func succeed(_ now: Int64) {
    if notes.isFailing { teller.tell(Event(.recovered), at: now) }
    notes.isFailing = false
    notes.succeeded = now
  }

  private func fail(_ result: FlightResult, _ now: Int64) {
    let kind: EventKind =
      switch result {
      case .emptied: .emptiedHeld
      case .regressed: .regressedHeld
      default: .fetchFailed
      }
    let failures = UInt64(truncatingIfNeeded: state.record.backoff.failures)
    teller.tell(Event(kind, reason: UInt32(result.rawValue), count: max(1, failures)), at: now)
    notes.isFailing = true
    notes.failed = now
    notes.lastFailure = result
  }

  private func noteState(_ now: Int64) {
    let isExpired = state.state(settings, now: now) == .expired
    if isExpired, !notes.hasExpired { teller.tell(Event(.expired), at: now) }
    notes.hasExpired = isExpired
  }

  /// Once in a minute, whatever the traffic: what readers have counted becomes at most two events.
  private func noteMisses(_ now: Int64) {
    let since = notes.minute ?? now
    if notes.minute == nil { notes.minute = now }
    let minutes = UInt64(truncatingIfNeeded: max(0, now &- since) / 60_000)
    guard minutes > 0 else { return }
    let refused = total(.throttled) &+ total(.listed)
    let misses = refused &+ total(.pending)
    let rate = (misses &- notes.misses) / minutes
    if refused > notes.refused {
      teller.tell(Event(.missesRefused, count: refused &- notes.refused), at: now)
    }
    if rate >= 60, rate / 4 > notes.usual { teller.tell(Event(.missesRise, count: rate), at: now) }
    (notes.minute, notes.misses, notes.refused) = (now, misses, refused)
    notes.usual = (notes.usual &* 7 &+ rate) / 8
  }

  private func total(_ missed: Missed) -> UInt64 { Readers.total(of: teller.issuer, Outcome(missed)) }
}
