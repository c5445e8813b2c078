// Revocations: in memory, where verifications ask; and, where the cache has a store, in a file for each issuer, which
// outlives the process and is shared with its siblings.
//
//   revoke:    memory, so that it is in force -> lock -> read -> write all of them
//   unrevoke:  lock -> read -> write all but that one -> memory
//   look:      a file that has changed -> read
//
// To read is to take over what siblings have written: what is not in the file goes from memory, unless it was revoked
// here and could not be written; that is written by the next change. Reading takes no lock of the file's, since it
// is replaced in one step, and of two contents the sequence tells the later. Files are read and written outside of the
// control lock.
//
// A file that cannot be read, or is gone, closes the issuer: no token of it is accepted until the file is read.
internal import CKeyturn

extension Cache {
  /// In force for every verification that starts after this has returned. One of the same name gets another end.
  func revoke(_ name: RevocationName, until: Int64, of issuer: Issuer) throws(Fault) {
    let (now, steady) = (clock.now, steadyNow)  // the host's clocks are never asked under the lock
    guard until == 0 || until > now else {
      throw Fault(.invalidOption, "It is not in the future.", option: "until")
    }
    try Fault.of { () throws(Status) in
      let revocation = try Revocation.make(name, until: until)
      defer { revocation.release() }
      try ControlLock.with { () throws(Status) in
        guard !issuer.isRemoved else { throw .removed }
        try makeRoom(for: name, of: issuer, at: known(now))
        try issuer.revoke(revocation)
        issuer.teller.tell(Event(.revoked, reason: name.kind.rawValue), at: steady)
      }
    }
    do throws(Fault) { try save(issuer, now: now, steady) } catch {
      if error.status == .full { _ = try? takeBack(name, of: issuer, now: now, steady) }
      throw error
    }
  }

  /// Takes one back.
  func unrevoke(_ name: RevocationName, of issuer: Issuer) throws(Fault) {
    let (now, steady) = (clock.now, steadyNow)
    guard store != nil else { return try takeBack(name, of: issuer, now: now, steady) }
    do throws(Fault) { try save(issuer, without: name, now: now, steady) } catch {
      if error.status == .notDurable { try takeBack(name, of: issuer, now: now, steady) }
      throw error
    }
  }

  // MARK: - In memory

  private func takeBack(
    _ name: RevocationName, of issuer: Issuer, now: Int64, _ steady: Int64
  ) throws(Fault) {
    try Fault.of { () throws(Status) in
      try ControlLock.with { () throws(Status) in
        try issuer.knows(name, at: now)
        try forget(name, of: issuer, steady)
      }
    }
  }

  /// Under the control lock. It may have gone already, by reading the file.
  private func forget(_ name: RevocationName, of issuer: Issuer, _ steady: Int64) throws(Status) {
    if issuer.revocations?.find(name) != nil { try issuer.unrevoke(name) }
    issuer.teller.tell(Event(.unrevoked, reason: name.kind.rawValue), at: steady)
  }

  /// Nothing is over for a host that does not know the time, for now.
  private func known(_ now: Int64) -> Int64 { now == .max ? 0 : now }

  /// Those that are over make room for those to come; none that is in force does.
  private func makeRoom(for name: RevocationName, of issuer: Issuer, at now: Int64) throws(Status) {
    guard issuer.revocations?.find(name) == nil else { return }
    if let revocations = issuer.revocations, revocations.isDueForSweep { try issuer.sweep(at: now) }
    if revocationsLeft <= 0 { try sweep(at: now) }
    let dates = issuer.revocations?.dateCount ?? 0
    guard revocationsLeft > 0, name.kind != .issuedBefore || dates < Revocations.mostDates else {
      throw .full
    }
  }

  // MARK: - In the store

  /// Writes down what is revoked, here and by siblings; all but `gone`, which goes then.
  private func save(
    _ issuer: Issuer, without gone: RevocationName? = nil, now: Int64, _ steady: Int64
  ) throws(Fault) {
    guard let store, let name = issuer.storeName else { return }
    guard !isReader else { throw Fault.ofStore(.failed) }
    let lock = try writing(issuer, steady) { () throws(StoreFault) in try StoredRevocations.lock(name, store)
    }
    defer { lock.leave() }
    #if !KEYTURN_MUTANT_REVOKE_CARELESS  // what the durable suite must catch
      try Fault.ofStore { () throws(StoreFault) in try read(issuer, name, store) }
    #endif
    let all = try Fault.of { () throws(Status) in
      try ControlLock.with { () throws(Status) in try held(issuer, without: gone, at: now) }
    }
    defer { all.release() }
    let sequence = RevocationFile.sequence(after: issuer.revocationFile.sequence, at: ckeyturn_unix_time())
    try writing(issuer, steady) { () throws(StoreFault) in
      try StoredRevocations.write(all, of: issuer.name, sequence: sequence, name, store, now: known(now))
      try lock.mark()
    }
    try Fault.of { () throws(Status) in
      try ControlLock.with { () throws(Status) in
        note(.writing, nil, at: steady, issuer)
        if let gone { try forget(gone, of: issuer, steady) }
        issuer.saved(all, sequence)
      }
    }
  }

  /// What fails in it is told as a trouble of the store's too.
  private func writing<Made: ~Copyable>(
    _ issuer: Issuer, _ now: Int64, _ write: () throws(StoreFault) -> Made
  ) throws(Fault) -> Made {
    do throws(StoreFault) { return try write() } catch {
      ControlLock.with { note(.writing, error, at: now, issuer) }
      throw Fault.ofStore(error)
    }
  }

  /// Under the control lock: what is to be written, held.
  private func held(_ issuer: Issuer, without gone: RevocationName?, at now: Int64) throws(Status)
    -> Revocations
  {
    guard !issuer.isRemoved, let all = issuer.revocations else { throw gone == nil ? .removed : .notFound }
    guard let gone else {
      guard revocationsLeft >= 0 else { throw .full }
      all.retain()
      return all
    }
    try issuer.knows(gone, at: now)
    return try all.without(gone)
  }

  /// Before a new issuer is handed out. Where it stays closed, that is no fault of the call.
  func beginWithRevocations(of issuer: Issuer) throws(Fault) {
    do throws(StoreFault) { try lookAtRevocations(of: issuer) } catch .full {
      throw .full
    } catch .noMemory { throw .noMemory } catch { return }
  }

  /// Now and then, in the thread that polls: what siblings revoke is in force here within a second.
  func lookAtRevocations(_ now: Int64) {
    guard store != nil, unsafe now >= engine.pointee.nextLook else { return }
    unsafe engine.pointee.nextLook = now &+ 500
    var walk = IssuerWalk()
    while let issuer = next(&walk) { _ = try? lookAtRevocations(of: issuer) }
  }

  /// Takes over what siblings have changed since it was last looked at.
  @inline(never)
  func lookAtRevocations(of issuer: Issuer) throws(StoreFault) {
    guard let store, let name = issuer.storeName else { return }
    let mark = store.mark(of: StoredRevocations.name(name))
    guard ControlLock.with({ !issuer.hasRead(mark) }) else { return }
    try read(issuer, name, store)
    ControlLock.with { issuer.revocationFile.mark = mark }
  }

  private func read(_ issuer: Issuer, _ name: StoreName, _ store: StoreDirectory) throws(StoreFault) {
    let now = time
    do throws(StoreFault) {
      try StoredRevocations.read(of: issuer.name, name, store, atMost: maximumRevocations) {
        (file) throws(StoreFault) in
        try StoreFault.of { () throws(Status) in
          try ControlLock.with { () throws(Status) in
            try takeOver(file, of: issuer)
            issuer.note(.revocations, nil, at: now)
          }
        }
      }
    } catch {
      close(issuer, error, now)
      throw error
    }
  }

  private func takeOver(_ file: RevocationFile?, of issuer: Issuer) throws(Status) {
    guard !issuer.isRemoved else { return }
    let more = (file?.count ?? 0) &- (issuer.revocations?.count ?? 0)
    guard more <= 0 || more <= revocationsLeft else { throw .full }
    try issuer.takeOver(file)
  }

  /// Nothing of it is accepted until its file has been read. Without memory for that it is closed at the next look.
  private func close(_ issuer: Issuer, _ fault: StoreFault, _ now: Int64) {
    ControlLock.with {
      guard !issuer.isRemoved else { return }
      issuer.note(.revocations, fault, at: now)
      do throws(Status) { try issuer.distrust() } catch { return }
    }
  }
}
