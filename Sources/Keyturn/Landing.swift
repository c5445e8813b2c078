// What becomes of an answer, all under the control lock (as with a load: no fork leaves a child with a lock that
// reading takes). It is read whole and off to the side; then the issuer's state decides, and one exchange puts a new
// set in its place.

extension Cache {
  /// Reads the next answer that has come, in the thread that polls, and starts what follows from it; false if
  /// there was none.
  func landNext() -> Bool {
    let now = time
    var next: Fetch?
    var keep: Keep?
    var wall: Int64 = 0
    let landed = ControlLock.with { () -> Fetch? in
      guard let fetch = unsafe engine.pointee.completed.removeFirst() else { return nil }
      next = land(fetch, now)
      keep = self.keep(at: fetch.ticket.seat)
      wall = unsafe engine.pointee.wall
      return fetch
    }
    guard let landed else { return false }
    if let keep { carryOut(keep, landed, now: now, wall: wall) }
    landed.release()
    if let next { start(next) }
    return true
  }

  /// The fetch that follows it. Requests beyond the first were made already, and are paid for now, or owed.
  private func land(_ fetch: Fetch, _ now: Int64) -> Fetch? {
    guard let issuer = unsafe engine.pointee.roster.issuer(at: fetch.ticket.seat),
      issuer.source.fetch == fetch
    else { return nil }
    let source = issuer.source
    source.fetch = nil
    source.saw(fetch)
    let further = Int64(truncatingIfNeeded: fetch.answer.requests &- 1)
    _ = source.next(.requested(flight: fetch.ticket.flight, further: further), now: now)
    if fetch.ticket.isDiscovery { return landDiscovery(fetch, issuer, source, now) }
    landKeys(fetch, issuer, source, now)
    return nil
  }

  // MARK: - Where the keys are

  private func landDiscovery(_ fetch: Fetch, _ issuer: Issuer, _ source: Source, _ now: Int64) -> Fetch? {
    do throws(Fault) {
      guard fetch.answer.status == 200 else { throw Fault(.invalidDocument, "The answer is no document.") }
      source.discovered(try DiscoveryDocument.read(fetch.body, of: issuer.name, source.target))
    } catch {
      // Discovery that was only due again may fail: the place that is known is asked.
      guard source.flight?.discovery == .preferred, !source.keysURL.isEmpty else {
        end(fetch, issuer, source, .failed(retryAfter: fetch.answer.freshness.retryDelay), now)
        return nil
      }
    }
    guard case .proceed = source.next(.furtherRequest(flight: fetch.ticket.flight), now: now) else {
      end(fetch, issuer, source, .failed(retryAfter: nil), now)
      return nil
    }
    return makeFetch(issuer, source, isDiscovery: false, now)
  }

  // MARK: - The keys

  private func landKeys(_ fetch: Fetch, _ issuer: Issuer, _ source: Source, _ now: Int64) {
    switch fetch.answer.status {
    case 200: landSet(fetch, issuer, source, now)
    case 304 where fetch.request.isConditional:
      confirm(fetch, issuer, source, .notModified(answer(fetch, source, issuer.notes)), now)
    case 404, 410: end(fetch, issuer, source, .gone, now)
    default: end(fetch, issuer, source, .failed(retryAfter: fetch.answer.freshness.retryDelay), now)
    }
  }

  private func answer(_ fetch: Fetch, _ source: Source, _ notes: JWKSet.Notes) -> Answer {
    let http = fetch.answer.freshness
    return Answer(
      freshness: http.lifetime(hint: notes.refreshHint, source.settings), generated: http.generated,
      mustRevalidate: http.mustRevalidate, isDiscovered: source.isDiscovered)
  }

  /// The very document that is in force needs no reading.
  private func landSet(_ fetch: Fetch, _ issuer: Issuer, _ source: Source, _ now: Int64) {
    do throws(Fault) {
      let digest = try issuer.digest(of: fetch.body)
      guard !source.isAccepted(digest) else {
        let answer = answer(fetch, source, issuer.notes)
        return confirm(fetch, issuer, source, .keys(answer, digest: digest, isEmpty: false), now)
      }
      let set = try issuer.read(fetch.body)
      let (isEmpty, answer) = (!set.hasUsableKey, answer(fetch, source, set.notes))
      let candidate = try issuer.candidate(set, now: now)
      end(fetch, issuer, source, .keys(answer, digest: digest, isEmpty: isEmpty), now, candidate)
    } catch {
      if error.status != .invalidDocument { source.notes.failure = .local }
      end(fetch, issuer, source, .failed(retryAfter: nil), now)
    }
  }

  /// What is in force still, unless it was signed for a time that is over.
  private func confirm(
    _ fetch: Fetch, _ issuer: Issuer, _ source: Source, _ end: FlightEnd, _ now: Int64
  ) {
    let isOver = unsafe SignedKeySet.isOver(issuer.notes, now: engine.pointee.wall)
    self.end(fetch, issuer, source, isOver ? .failed(retryAfter: nil) : end, now)
  }

  /// A candidate that is not adopted goes.
  @inline(never)
  private func end(
    _ fetch: Fetch, _ issuer: Issuer, _ source: Source, _ end: FlightEnd, _ now: Int64,
    _ candidate: Snapshot? = nil
  ) {
    let action = source.next(.ended(flight: fetch.ticket.flight, end), now: now)
    switch action {
    case .adopt:
      if let candidate { issuer.adopt(candidate, now: now) }
      source.accepted(fetch, isNew: true, now: now)
    case .renew:
      candidate?.destroy()
      source.accepted(fetch, isNew: false, now: now)
    default: candidate?.destroy()
    }
    settle(source, issuer, action, now)
  }
}
