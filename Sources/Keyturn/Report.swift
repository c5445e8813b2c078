// What a host is told of an issuer; all of it is put together under the control lock, at one moment.

extension Issuer {
  /// How it stands. Times are milliseconds; nil is never, or not at all.
  struct Report {
    var state = SourceState.empty
    var age: Int64?
    var freshFor: Int64?
    var servedFor: Int64?
    var nextFetch: Int64?
    var sinceSuccess: Int64?
    var sinceFailure: Int64?
    var lastFailure = FlightResult.local
    var failures: Int64 = 0
    var waiters: Int64 = 0
    var keys = 0
    var revocations = 0
  }

  func report(now: Int64, wall: Int64) -> Report {
    var report = Report()
    visitKeys { _ in report.keys &+= 1 }
    report.revocations = revocations?.count ?? 0
    report.waiters = waiters.count
    source.tell(&report, now: now, wall: wall)
    if isRemoved { report.state = .disabled }
    return report
  }

  /// What a token of the issuer could hope for, whatever it holds.
  func readiness(now: Int64, wall: Int64) -> Status? {
    guard !isRemoved else { return .removed }
    if !source.isServed(now, at: wall) { return source.isPending ? .pending : .keysUnavailable }
    var isAny = false
    visitKeys { _ in isAny = true }
    return isAny ? nil : .keysUnavailable
  }

  /// Each usable key of the set in force.
  func visitKeys(_ body: (Key) -> Void) { keys?.visitPublished(body) }

  /// How many tokens of its were answered so.
  func total(_ outcome: Outcome) -> UInt64 { Readers.total(of: id, outcome) }
}

extension Source {
  fileprivate func tell(_ report: inout Issuer.Report, now: Int64, wall: Int64) {
    let state = state
    report.state = state.state(settings, now: now)
    report.failures = state.record.backoff.failures
    report.lastFailure = notes.lastFailure
    report.sinceSuccess = notes.succeeded.map { now &- $0 }
    report.sinceFailure = notes.failed.map { now &- $0 }
    report.nextFetch = state.nextAttempt == .max ? nil : max(0, state.nextAttempt &- now)
    guard let accepted = state.record.accepted else { return }
    report.age = now &- accepted.began
    let served = state.servedUntil(settings)
    report.servedFor = served == .max ? .max : max(0, served &- now)
    guard isFetched else { return tellPinned(&report, wall: wall) }
    report.freshFor = max(0, accepted.began &+ accepted.freshness &- now)
  }

  private func tellPinned(_ report: inout Issuer.Report, wall: Int64) {
    report.sinceSuccess = report.age
    guard terms.validUntil != .max else { return }
    let (left, isLong) = terms.validUntil.subtractingReportingOverflow(wall)
    report.servedFor = isLong ? 0 : min(report.servedFor ?? 0, max(0, min(left, 1 &<< 40)) &* 1_000)
    if wall >= terms.validUntil { report.state = .expired }
  }

  /// A fetch is under way, or would begin with the next token, that may bring the first keys.
  fileprivate var isPending: Bool { state.flight?.opens ?? state.isIdle }
}

// MARK: - A swap

extension Issuer {
  /// What the new keys change, while the old ones are still in force.
  func noteSwap(to new: KeySet, now: Int64, wall: Int64, _ counts: Ledger) {
    var (before, kept, added, shared) = (0, 0, 0, 0)
    visitKeys { _ in before &+= 1 }
    new.visitPublished { key in
      key.see(at: now)
      if keys?.knows(key).itself == true { kept &+= 1 } else { added &+= noteNew(key, now, wall, counts) }
      if new.knows(key).another { shared &+= 1 }
    }
    counts.add(.keysRemoved, by: before &- kept)
    if added > 0 || kept < before {
      tell(Event(.keysChanged, count: number(added), removed: number(before &- kept)), now)
    }
    if added == 0, kept == 0 { tell(Event(.emptiedObeyed), now) }
    if before > 0, kept == 0 {
      counts.add(.disjointSets)
      tell(Event(.disjointSet, count: number(added), removed: number(before)), now)
    }
    counts.add(.duplicateKids, by: shared)
    if shared > 0 { tell(Event(.duplicateKids, count: number(shared)), now) }
    for fault in 32.times { noteLeftOut(new, fault, now, counts) }
    ledger.add(.generation)
    let digest = new.digest
    for word in 4.times { ledger.set(digest[word], .digest, word) }
  }

  private func noteNew(_ key: Key, _ now: Int64, _ wall: Int64, _ counts: Ledger) -> Int {
    counts.add(.keysAdded)
    if isRevoked(key, at: wall) {
      counts.add(.revokedKeys)
      teller.tell(Event(.revokedKey), at: now, key)
    }
    return 1
  }

  @inline(never)
  private func isRevoked(_ key: Key, at wall: Int64) -> Bool {
    revocations?.revoke(thumbprint: key.thumbprint, kid: key.kid, at: wall) ?? false
  }

  /// How many of the keys that it publishes.
  func revokedKeys(at wall: Int64) -> Int {
    var count = 0
    visitKeys { if isRevoked($0, at: wall) { count &+= 1 } }
    return count
  }

  /// One event for all that have the same fault, so that no document makes many.
  private func noteLeftOut(_ new: KeySet, _ fault: Int, _ now: Int64, _ counts: Ledger) {
    var count = 0
    for position in new.count.times {
      let entry = new.entry(position)
      if entry.key == nil, Int(entry.fault.rawValue) == fault { count &+= 1 }
    }
    guard count > 0 else { return }
    counts.add(.dropped, fault, by: count)
    let isPrivate = KeyFault(rawValue: UInt32(truncatingIfNeeded: fault)) == .isPrivate
    let kind: EventKind = isPrivate ? .privateKey : .keysLeftOut
    tell(Event(kind, reason: UInt32(truncatingIfNeeded: fault), count: number(count)), now)
  }

  @inline(never)
  private func tell(_ event: Event, _ now: Int64) { teller.tell(event, at: now) }

  private func number(_ count: Int) -> UInt64 { UInt64(truncatingIfNeeded: count) }
}
