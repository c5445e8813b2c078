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
    report.waiters = state.waiters
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
  func noteSwap(to new: KeySet, now: Int64, wall: Int64) {
    var (before, kept) = (0, 0)
    visitKeys { _ in before &+= 1 }
    new.visitPublished { key in
      key.see(at: now)
      if keys?.knows(key).itself == true { kept &+= 1 } else { noteNew(key, wall) }
      if new.knows(key).another { ledger.add(.duplicateKids) }
    }
    ledger.add(.keysRemoved, by: before &- kept)
    if before > 0, kept == 0 { ledger.add(.disjointSets) }
    for position in new.count.times where new.entry(position).key == nil {
      ledger.add(.dropped, Int(new.entry(position).fault.rawValue & 31))
    }
    ledger.add(.generation)
    let digest = new.digest
    for word in 4.times { ledger.set(digest[word], .digest, word) }
  }

  private func noteNew(_ key: Key, _ wall: Int64) {
    ledger.add(.keysAdded)
    let isRevoked = revocations?.revoke(thumbprint: key.thumbprint, kid: key.kid, at: wall) ?? false
    if isRevoked { ledger.add(.revokedKeys) }
  }
}
