// When one issuer is asked for its keys, and what its answers do: a plain value, changed by one pure function.
//
//   start, schedule, retry, missed kid, operator -> begin(flight) -> launched -> ended -> adopt | renew | hold | fail
//
// A flight is admitted before it leaves: what pays for it is taken then, so that an origin that is dead uses
// it up too. There is one flight at a time. Whatever it brings, the keys in force stay until a set is
// accepted or their own age ends them; an answer moves `accepted`, a failure moves `backoff`, and
// `nextAttempt` follows from the two.
//
// The engine calls `next` for one event after the other and carries out what it answers. It owns the clock,
// the flights, the waiters, the lock and the candidate's keys; here is only what is decided about them.
struct RefreshState: BitwiseCopyable {
  private(set) var source: RefreshSource
  private(set) var record: RefreshRecord
  private(set) var flight: Flight?
  private(set) var isIdle = false
  private(set) var isDisabled = false
  /// Of the schedule or of a retry; a flight under way holds it up.
  private(set) var nextAttempt: Int64 = .max
  private var nextWarning: Int64 = .max
  private var lastNamed: Int64 = .min
  private var flights: UInt64 = 0
  private var operatorWaits = false
  /// What those who waited for it are told where they may not ask again.
  private(set) var lastFlightFailed = false

  init(_ source: RefreshSource, _ settings: RefreshSettings) {
    self.source = source
    record = RefreshRecord(settings)
  }

  mutating func next(
    _ event: RefreshEvent, _ settings: RefreshSettings, now: Int64, random: UInt64
  ) -> RefreshAction {
    let time = RefreshTime(now: now, random: random)
    switch event {
    case .start(let stored, let isLazy): return start(stored, isLazy, settings, time)
    case .tick: return tick(settings, time)
    case .named: return named(settings, time)
    case .asked: return asked(settings, time)
    case .missed: return missed(settings, time)
    case .badSignature: return badSignature(settings, time)
    case .askedByOperator: return askedByOperator(settings, time)
    case .launched(let id): return launched(id, settings, time)
    case .furtherRequest(let id): return furtherRequest(id, settings, time)
    case .requested(let id, let further): return requested(id, further, settings, time)
    case .ended(let id, let end): return ended(id, end, settings, time)
    case .takenElsewhere(let since): return takenElsewhere(since, settings, time)
    case .leftToAgent: return leftToAgent(settings, time)
    case .answered(let isFailure): return answered(isFailure, settings, time)
    case .granted(let id): return granted(id, settings, time)
    case .synced(let record, let isOver): return synced(record, isOver, settings, time)
    case .pushed(let digest, let freshness): return pushed(digest, freshness, settings, time)
    case .updated(let source, let asksAnew, let isEmptied):
      return updated(source, asksAnew, isEmptied, settings, time)
    case .interrupted: return interrupted(settings, time)
    case .disabled: return disable()
    case .enabled: return enable(settings, time)
    }
  }
}

// MARK: - What can be asked of it

extension RefreshState {
  /// When `next` wants a tick, at the latest.
  var deadline: Int64 {
    guard !isDisabled else { return .max }
    guard let flight else { return operatorWaits ? .min : min(nextAttempt, nextWarning) }
    return min(flight.endsBy, nextWarning)
  }

  /// From when on readers accept nothing. They compare it with the clock themselves, whoever else has stopped.
  func servedUntil(_ settings: RefreshSettings) -> Int64 {
    guard !isDisabled, let accepted = record.accepted else { return .min }
    if source == .pinned {
      return settings.pinnedMaxAge > 0 ? accepted.began &+ settings.pinnedMaxAge : .max
    }
    return accepted.began &+ (isIdle ? min(accepted.freshness, accepted.limit) : accepted.limit)
  }

  func state(_ settings: RefreshSettings, now: Int64) -> SourceState {
    if isDisabled { return .disabled }
    guard let accepted = record.accepted else { return .empty }
    if source == .pinned { return isServed(settings, now) ? .pinned : .expired }
    let age = now &- accepted.began
    return age >= accepted.limit ? .expired : age < accepted.freshness ? .fresh : .stale
  }

  /// From when on a bad signature may count.
  func rekeyFrom(_ settings: RefreshSettings) -> Int64 {
    record.rekeyed.map { $0 &+ settings.rekeyInterval } ?? .min
  }

  /// For `FlightQueue`: when keys that are served grow stale, and now where none are.
  func urgency(_ settings: RefreshSettings, now: Int64) -> Int64 {
    guard isServed(settings, now), let accepted = record.accepted else { return now }
    return accepted.began &+ accepted.freshness
  }

  var isFailing: Bool { record.backoff.isFailing }

  private func unavailable(_ now: Int64) -> RefreshAction {
    let wait = flight == nil ? nextAttempt &- now : 0
    return .unavailable(retryAfter: max(1_000, min(wait, 300_000)))
  }

  private func isServed(_ settings: RefreshSettings, _ now: Int64) -> Bool { now < servedUntil(settings) }

  var isFetched: Bool { source != .pinned && !isDisabled }
}

// MARK: - Causes of a flight

extension RefreshState {
  private mutating func start(
    _ stored: RefreshRecord.Accepted?, _ isLazy: Bool, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    lastNamed = time.now
    if let stored {
      record.accepted = stored
      record = record.settled(settings, now: time.now)
      if !isServed(settings, time.now) { record.accepted = nil }
    }
    guard isFetched else { return .nothing }
    isIdle = isLazy
    plan(settings, time)
    guard !isIdle, record.accepted == nil else { return .nothing }
    return attempt(settings, time)
  }

  private mutating func tick(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    guard !isDisabled else { return .nothing }
    if let flight, time.now >= flight.endsBy { return lose(flight, settings, time) }
    if flight == nil, operatorWaits { return begin(.byOperator, settings, time) }
    if flight == nil, time.now >= nextAttempt { return attempt(settings, time) }
    guard time.now >= nextWarning else { return .nothing }
    nextWarning = time.now &+ settings.staleWarning
    return .warn
  }

  /// What the schedule, a retry or the start asks for.
  private mutating func attempt(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    guard time.now &- lastNamed < settings.idle else {
      isIdle = true
      plan(settings, time)
      return .rest
    }
    guard record.total.take(settings.total, now: time.now) else {
      nextAttempt = record.total.next(settings.total, now: time.now)
      return .nothing
    }
    return begin(scheduledReason, settings, time)
  }

  private var scheduledReason: FlightReason {
    if record.backoff.isFailing || record.emptied.count > 0 { return .retry }
    return record.accepted == nil ? .start : .schedule
  }

  private mutating func named(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    lastNamed = time.now
    guard isIdle, isServed(settings, time.now) else { return .nothing }
    isIdle = false
    plan(settings, time)
    return .nothing
  }

  /// No key is served: only a first fetch, or the first after idleness, is worth waiting for.
  private mutating func asked(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    lastNamed = time.now
    guard isFetched else { return .unavailable(retryAfter: settings.maxRetryAfter) }
    guard !isServed(settings, time.now) else { return .askAgain }
    if let flight { return flight.opens ? .pending(flight: flight.id) : unavailable(time.now) }
    guard isIdle else { return unavailable(time.now) }
    guard !record.backoff.holdsBack(time.now), record.total.take(settings.total, now: time.now) else {
      return wakeWithout(settings, time)
    }
    return begin(scheduledReason, settings, time)
  }

  /// The idle issuer cannot be asked now, so that what it has is served as far as it goes.
  private mutating func wakeWithout(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    isIdle = false
    plan(settings, time)
    return isServed(settings, time.now) ? .askAgain : unavailable(time.now)
  }

  private mutating func missed(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    guard isServed(settings, time.now) else { return asked(settings, time) }
    lastNamed = time.now
    guard isFetched else { return .refuse(.notFetched) }
    if let flight { return .pending(flight: flight.id) }
    return admit(.missingKid, settings, time)
  }

  /// An issuer that puts new keys under old kids is asked again, seldom. A flight for that is waited for by all.
  private mutating func badSignature(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    guard settings.sameKidRekey, isFetched, isServed(settings, time.now) else { return .refuse(.notFetched) }
    if let flight, flight.reason == .rekey { return .pending(flight: flight.id) }
    guard time.now >= rekeyFrom(settings) else { return .refuse(.demandSpent) }
    if let flight { return .pending(flight: flight.id) }
    let action = admit(.rekey, settings, time)
    if case .begin = action { record.rekeyed = time.now }
    return action
  }

  /// A flight that traffic asks for.
  private mutating func admit(
    _ reason: FlightReason, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    if let refusal = admits(settings, time.now) { return .refuse(refusal) }
    return begin(reason, settings, time)
  }

  /// Nil, and paid for, if traffic may have a flight now.
  private mutating func admits(_ settings: RefreshSettings, _ now: Int64) -> MissRefusal? {
    guard !record.backoff.holdsBack(now) else { return .backingOff }
    guard record.demand.has(settings.demand, now: now) else { return .demandSpent }
    guard record.total.take(settings.total, keeping: settings.keptForSchedule, now: now) else {
      return .totalSpent
    }
    _ = record.demand.take(settings.demand, now: now)
    return nil
  }

  /// One that has begun may have missed what the operator knows, so that another follows it.
  private mutating func askedByOperator(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    guard isFetched else { return .refuse(.notFetched) }
    lastNamed = time.now
    guard record.operators.take(settings.operators, now: time.now) else { return .tooOften }
    guard let flight else { return begin(.byOperator, settings, time) }
    operatorWaits = true
    return .pending(flight: flight.id)
  }
}

// MARK: - A flight

extension RefreshState {
  private mutating func begin(
    _ reason: FlightReason, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    let isFirst = record.accepted == nil && !record.backoff.isFailing
    let flight = newFlight(reason, discovery(settings, time.now), opens: isFirst || isIdle, time.now)
    if reason == .byOperator { operatorWaits = false }
    record.lastFlight = time.now
    return .begin(flight)
  }

  private mutating func newFlight(
    _ reason: FlightReason, _ discovery: Flight.Discovery, opens: Bool, _ now: Int64
  ) -> Flight {
    flights &+= 1
    let new = Flight(id: flights, reason: reason, discovery: discovery, opens: opens, began: now)
    flight = new
    return new
  }

  private func discovery(_ settings: RefreshSettings, _ now: Int64) -> Flight.Discovery {
    guard source == .discovery else { return .none }
    guard let discovered = record.discovered, !record.isGone else { return .required }
    return now &- discovered >= settings.rediscovery ? .preferred : .none
  }

  private mutating func launched(
    _ id: UInt64, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard isUnderWay(id) else { return .stop }
    flight?.began = time.now
    flight?.endsBy = time.now &+ settings.fetchTimeout
    record.lastFlight = time.now
    return .proceed
  }

  private mutating func furtherRequest(
    _ id: UInt64, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard isUnderWay(id), let flight else { return .stop }
    if flight.reason == .byOperator { return .proceed }
    let kept = kept(of: flight, settings)
    return record.total.take(settings.total, keeping: kept, now: time.now) ? .proceed : .stop
  }

  /// Whoever lets a fetch make more than one knows by `furtherRequests` how many.
  private mutating func requested(
    _ id: UInt64, _ further: Int64, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard isUnderWay(id), let flight, flight.reason != .byOperator, further > 0 else { return .nothing }
    record.total.charge(further, settings.total, now: time.now)
    return .nothing
  }

  /// How many there are to pay for beyond the one that is about to be made.
  func furtherRequests(_ settings: RefreshSettings, now: Int64) -> Int64 {
    guard let flight, flight.reason != .byOperator else { return .max }
    return record.total.spare(settings.total, keeping: kept(of: flight, settings), now: now)
  }

  private func kept(of flight: Flight, _ settings: RefreshSettings) -> Int64 {
    flight.reason == .missingKid || flight.reason == .rekey ? settings.keptForSchedule : 0
  }

  private func isUnderWay(_ id: UInt64) -> Bool { flight.map { $0.id == id && !$0.isElsewhere } ?? false }

  /// Ours took too long, or the process that has the lock stands still: then it is asked for at once.
  private mutating func lose(
    _ lost: Flight, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard lost.isElsewhere else {
      _ = fail(retryAfter: nil, settings, time)
      return .abandon(flight: lost.id)
    }
    guard !lost.isAgents else { return loseAgents(settings, time) }
    land(failed: true)
    nextAttempt = time.now
    return .wake
  }

  /// It has brought nothing. Tokens that have keys go on, and the others are not to wait again at once.
  private mutating func loseAgents(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    guard isServed(settings, time.now) else { return fail(retryAfter: nil, settings, time) }
    land(failed: true)
    plan(settings, time)
    return .wake
  }

  private mutating func land(failed: Bool) {
    flight = nil
    lastFlightFailed = failed
    isIdle = false
  }
}

// MARK: - How it ends

extension RefreshState {
  private mutating func ended(
    _ id: UInt64, _ end: FlightEnd, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard isUnderWay(id), let began = flight?.began else { return .nothing }
    switch end {
    case .failed(let retryAfter): return fail(retryAfter: retryAfter, settings, time)
    case .gone:
      record.isGone = true
      return fail(retryAfter: nil, settings, time)
    case .notModified(let answer):
      guard let accepted = record.accepted else { return fail(retryAfter: nil, settings, time) }
      return weigh(answer, accepted.digest, isEmpty: false, began, settings, time)
    case .keys(let answer, let digest, let isEmpty):
      return weigh(answer, digest, isEmpty: isEmpty, began, settings, time)
    }
  }

  /// What is in force already is confirmed by whoever has it; what differs must be newer, and not empty.
  private mutating func weigh(
    _ answer: Answer, _ digest: UInt64, isEmpty: Bool, _ began: Int64, _ settings: RefreshSettings,
    _ time: RefreshTime
  ) -> RefreshAction {
    if answer.isDiscovered {
      record.discovered = began
      record.isGone = false
    }
    let isKnown = record.accepted.map { $0.digest == digest } ?? false
    if !isKnown, regresses(answer, settings), !hasRegressedForLong(time.now) {
      _ = fail(retryAfter: nil, settings, time)
      return .hold(.regressed)
    }
    if !isKnown, isEmpty, settings.emptyAnswer == .hold, !isEmptyForLong(digest, settings, time.now) {
      return holdEmptied(settings, time)
    }
    accept(answer, digest, isKnown: isKnown, began, settings)
    land(failed: false)
    plan(settings, time)
    return isKnown ? .renew : .adopt
  }

  private mutating func accept(
    _ answer: Answer, _ digest: UInt64, isKnown: Bool, _ began: Int64, _ settings: RefreshSettings
  ) {
    var generated = answer.generated
    if isKnown, let before = record.accepted?.generated { generated = max(before, generated ?? before) }
    let freshness = settings.clampFreshness(answer.freshness)
    let isBound = settings.honorMustRevalidate && answer.mustRevalidate
    record.accepted = RefreshRecord.Accepted(
      began: began, freshness: freshness, limit: isBound ? freshness : settings.hardLimit, digest: digest,
      generated: generated)
    record.backoff = .none
    record.emptied = .none
    record.regressed = .none
  }

  private func regresses(_ answer: Answer, _ settings: RefreshSettings) -> Bool {
    guard let before = record.accepted?.generated, let generated = answer.generated else { return false }
    return before &- generated > settings.regression / 1_000
  }

  /// Two edges that disagree take turns, and each accepted answer ends the count; an issuer that has been set
  /// back says the same for longer than its freshness lifetime.
  private mutating func hasRegressedForLong(_ now: Int64) -> Bool {
    record.regressed.add(0, now: now)
    return record.regressed.count >= 3 && record.regressed.span > (record.accepted?.freshness ?? 0)
  }

  private mutating func isEmptyForLong(_ digest: UInt64, _ settings: RefreshSettings, _ now: Int64) -> Bool {
    record.emptied.add(digest, now: now)
    return record.emptied.count >= 2 && record.emptied.span >= settings.emptyHold
  }

  private mutating func fail(
    retryAfter: Int64?, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    land(failed: true)
    record.backoff.fail(retryAfter: retryAfter, servedUntil: servedUntil(settings), settings, time)
    plan(settings, time)
    return .fail
  }

  /// The issuer does answer, so that it is asked in its own time and backs nothing off.
  private mutating func holdEmptied(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    land(failed: true)
    record.backoff = .none
    plan(settings, time)
    return .hold(.emptied)
  }

  /// The host's word is newer than what a flight may bring, which is void.
  private mutating func pushed(
    _ digest: UInt64, _ freshness: Int64?, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard !isDisabled else { return .nothing }
    let answer = Answer(freshness: freshness ?? settings.defaultFreshness)
    accept(answer, digest, isKnown: false, time.now, settings)
    land(failed: false)
    plan(settings, time)
    return .adopt
  }
}

// MARK: - Other settings

extension RefreshState {
  /// What was paid stays paid, and failures stay counted, so that no change lets more requests out. A key set that
  /// no longer counts gets no new life by being pinned.
  private mutating func updated(
    _ new: RefreshSource, _ asksAnew: Bool, _ isEmptied: Bool, _ settings: RefreshSettings,
    _ time: RefreshTime
  ) -> RefreshAction {
    guard !isDisabled else { return .nothing }
    record = record.settled(settings, now: time.now)
    if isEmptied || new != source && !isServed(settings, time.now) { record.accepted = nil }
    source = new
    guard asksAnew else {
      plan(settings, time)
      return .nothing
    }
    let under = flight
    if under != nil { land(failed: true) }
    forgetPlace()
    plan(settings, time)
    guard isFetched, !isIdle else { return under == nil ? .nothing : .wake }
    return attempt(settings, time)
  }

  /// What another place has said is nothing against this one's answers, and the same document may now mean another set.
  private mutating func forgetPlace() {
    record.accepted?.digest = 0
    record.accepted?.generated = nil
    record.emptied = .none
    record.regressed = .none
    record.discovered = nil
    record.isGone = false
  }
}

// MARK: - When to ask again

extension RefreshState {
  private mutating func plan(_ settings: RefreshSettings, _ time: RefreshTime) {
    nextAttempt = isFetched && !isIdle ? attemptDue(settings, time) : .max
    nextWarning = isDisabled || isIdle ? .max : warningDue(settings, time.now)
  }

  private func attemptDue(_ settings: RefreshSettings, _ time: RefreshTime) -> Int64 {
    if record.backoff.isFailing { return record.backoff.until }
    let freshness = record.accepted?.freshness ?? settings.clampFreshness(settings.defaultFreshness)
    let isServed = isServed(settings, time.now)
    if record.emptied.count > 0 {
      let short = settings.backoffMaxUnserved / 2 &+ time.spread(settings.backoffMaxUnserved / 2)
      return record.emptied.last &+ (isServed ? freshness / 2 : min(freshness / 2, short))
    }
    guard isServed, let accepted = record.accepted else { return time.now }
    let jitter = time.spread(freshness &* 3 / 20)
    let due = accepted.began &+ freshness &* 3 / 4 &+ jitter
    return due >= time.now ? due : time.now &+ jitter
  }

  /// Not again before its time when a failure plans anew.
  private func warningDue(_ settings: RefreshSettings, _ now: Int64) -> Int64 {
    guard let accepted = record.accepted else { return .max }
    let isPinned = source == .pinned
    let start = accepted.began &+ (isPinned ? 0 : accepted.freshness)
    let end = servedUntil(settings)
    guard end != .max, end > start else { return .max }
    let notice = min(settings.staleWarning, (end &- start) / 2)
    let due = isPinned ? end &- notice : start &+ notice
    return due > now ? due : max(nextWarning == .max ? now : nextWarning, now)
  }
}

// MARK: - Other processes, and the host's word

extension RefreshState {
  /// What is wanted is under way already. A lock that is held too long holds nobody back.
  private mutating func takenElsewhere(
    _ since: Int64, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard isFetched else { return .nothing }
    let endsBy = min(since, time.now) &+ settings.lockTimeout
    guard time.now < endsBy else { return .proceed }
    if flight?.reason == .byOperator { operatorWaits = true }
    let isFirst = record.accepted == nil && !record.backoff.isFailing
    var taken = flight ?? newFlight(.elsewhere, .none, opens: isFirst || isIdle, time.now)
    guard taken.isElsewhere || taken.endsBy == .max else { return .proceed }
    taken.isElsewhere = true
    taken.endsBy = endsBy
    flight = taken
    return .pending(flight: taken.id)
  }

  /// The agent has a schedule of its own. What it has for others is waited for as long as a fetch may take.
  private mutating func leftToAgent(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    guard var left = flight else { return .nothing }
    if left.reason == .schedule || left.reason == .retry, isServed(settings, time.now) {
      flight = nil
      nextAttempt = time.now &+ (record.accepted?.freshness ?? settings.maxFreshness)
      return .nothing
    }
    left.isElsewhere = true
    left.isAgents = true
    left.endsBy = time.now &+ settings.fetchTimeout
    flight = left
    return .pending(flight: left.id)
  }

  private mutating func answered(
    _ isFailure: Bool, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard let flight, flight.isAgents else { return .nothing }
    guard !isFailure else { return loseAgents(settings, time) }
    land(failed: false)
    plan(settings, time)
    return .wake
  }

  private mutating func granted(
    _ id: UInt64, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    guard isUnderWay(id), let flight else { return .stop }
    guard pays(for: flight.reason, settings, time.now) else {
      land(failed: false)
      plan(settings, time)
      return .wake
    }
    let discovery = discovery(settings, time.now)
    self.flight?.discovery = discovery
    return .proceed
  }

  private mutating func pays(for reason: FlightReason, _ settings: RefreshSettings, _ now: Int64) -> Bool {
    switch reason {
    case .byOperator:
      _ = record.operators.take(settings.operators, now: now)
      return true
    case .missingKid, .rekey: return admits(settings, now) == nil
    default: return !record.backoff.holdsBack(now) && record.total.take(settings.total, now: now)
    }
  }

  /// A set that is older than ours, or none, takes nothing away.
  private mutating func synced(
    _ shared: RefreshRecord, _ isOver: Bool, _ settings: RefreshSettings, _ time: RefreshTime
  ) -> RefreshAction {
    let before = record
    record = shared.settled(settings, now: time.now)
    if (record.accepted?.began ?? .min) < (before.accepted?.began ?? .min) {
      record.accepted = before.accepted
    }
    let isNewer = record.accepted?.began != before.accepted?.began
    let wasElsewhere = flight?.isElsewhere ?? false
    let isLanding = isNewer || isOver && wasElsewhere
    // Whoever had the lock may have found that nothing may be asked now: that is no failure.
    if isLanding { land(failed: !isNewer && record.backoff.isFailing) }
    if isLanding || record.backoff.until != before.backoff.until { plan(settings, time) }
    if record.accepted?.digest != before.accepted?.digest { return .adopt }
    return isNewer ? .renew : isLanding ? .fail : .nothing
  }

  private mutating func interrupted(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    flight = nil
    plan(settings, time)
    return .wake
  }

  private mutating func disable() -> RefreshAction {
    let under = flight
    land(failed: true)
    isDisabled = true
    operatorWaits = false
    guard let under, !under.isElsewhere else { return .wake }
    return .abandon(flight: under.id)
  }

  private mutating func enable(_ settings: RefreshSettings, _ time: RefreshTime) -> RefreshAction {
    isDisabled = false
    lastNamed = time.now
    plan(settings, time)
    return .nothing
  }
}
