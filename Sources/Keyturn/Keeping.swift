// What is kept of an issuer in the store, so that who comes later, or beside us, has its keys at once. Files are read
// and written in no lock; what they say is taken over under the control lock, and no more of it is believed than of
// an answer from the network.

/// What to keep: found out under the control lock, carried out in none, when the issuer may have gone.
struct Keep {
  let name: StoreName
  let accepted: RefreshRecord.Accepted
  let maximumDocument: Int
  let seat: UInt64
}

extension Cache {
  /// What the store has of an issuer; nothing if it cannot be read.
  func stored(_ name: StoreName?, atMost maximum: Int) -> StoredKeys {
    guard let store, let name else { return .none }
    do throws(StoreFault) { return try StoredKeys.read(name, store, atMost: maximum) } catch .absent {
      return .none
    } catch { return .none(error) }
  }

  /// Under the control lock: puts keys from the store in force, if there are any that still count, and are newer than
  /// those that are. How they stand.
  func takeOver(
    _ stored: borrowing StoredKeys, _ issuer: Issuer, _ source: Source, now: Int64, wall: Int64
  ) -> RefreshRecord.Accepted? {
    guard source.isFetched else { return nil }
    var fault = stored.fault
    let accepted = accept(stored, issuer, source, now: now, wall: wall, &fault)
    issuer.note(.keys, fault, at: now)
    issuer.shelf?.retriesFrom = fault == nil ? .max : now &+ Shelf.retryInterval
    return accepted
  }

  private func accept(
    _ stored: borrowing StoredKeys, _ issuer: Issuer, _ source: Source, now: Int64, wall: Int64,
    _ fault: inout StoreFault?
  ) -> RefreshRecord.Accepted? {
    guard let store, !stored.isEmpty, source.mayHaveBeen(at: stored.url) else { return nil }
    unsafe engine.pointee.wall = wall
    do throws(Fault) {
      let found = try Fault.of { () throws(Status) in try stored.accepted(store, now: now, wall: wall) }
      if found == nil { fault = .fromFuture }
      guard let accepted = found?.settled(source.settings, now: now), accepted.isServed(now),
        accepted.began > source.accepted?.began ?? .min
      else { return nil }
      let set = try issuer.read(stored.document)
      issuer.adopt(try issuer.candidate(set, now: now), now: now, isShared: !isReader)
      source.restore(url: stored.url, etag: stored.etag, lastModified: stored.lastModified)
      return accepted
    } catch {
      fault = error.status == .invalidDocument ? .notAccepted : .noMemory
      return nil
    }
  }

  /// Under the control lock: what to keep of the issuer at that seat, after an answer.
  func keep(at seat: UInt64) -> Keep? {
    guard let issuer = unsafe engine.pointee.roster.issuer(at: seat), issuer.source.isUnkept,
      let name = issuer.storeName, let accepted = issuer.source.accepted
    else { return nil }
    return Keep(name: name, accepted: accepted, maximumDocument: issuer.maximumDocument, seat: seat)
  }

  /// Writes what an answer has brought. A bare confirmation is of the document that the store has; where it has
  /// another one, the issuer is asked for the whole next time.
  func carryOut(_ keep: Keep, _ fetch: Fetch, now: Int64, wall: Int64) {
    var isKept = false
    var fault: StoreFault?
    do throws(StoreFault) { isKept = try write(keep, fetch, now: now, wall: wall) } catch { fault = error }
    ControlLock.with {
      guard let issuer = unsafe engine.pointee.roster.issuer(at: keep.seat) else { return }
      let source = issuer.source
      if isKept || fault != nil { note(.writing, fault, at: now, issuer) }
      if isKept { issuer.note(.keys, nil, at: now) }
      if !isKept {
        source.forgetValidators()
        tellOfFailure(issuer, now)
      }
      issuer.shelf?.seen = store?.look(keep.name)
      source.isUnkept = false
      settle(source, issuer, .nothing, now)
    }
  }

  private func write(_ keep: Keep, _ fetch: Fetch, now: Int64, wall: Int64) throws(StoreFault) -> Bool {
    guard let store else { return false }
    let before = stored(keep.name, atMost: keep.maximumDocument)
    let isWhole = fetch.answer.status == 200
    guard isWhole || before.isOf(keep.accepted) else { return false }
    try StoredKeys.write(
      keep.accepted, url: fetch.request.url,
      etag: isWhole || !fetch.etag.isEmpty ? fetch.etag : before.etag,
      lastModified: isWhole || !fetch.lastModified.isEmpty ? fetch.lastModified : before.lastModified,
      document: isWhole ? fetch.body : before.document, keep.name, store, now: now, wall: wall)
    return true
  }
}
