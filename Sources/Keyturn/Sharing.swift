// How processes that share a store share the work: one of them at a time asks an issuer for its keys, and the others see
// what it has brought. All of it happens under the control lock, by calls that wait for no medium.

extension Cache {
  /// How long a change in the store may go unseen, in milliseconds.
  static var storeInterval: Int64 { 1_000 }

  // MARK: - A flight

  /// Whether a flight may leave: the lock is ours, nobody has brought meanwhile what it would bring, and what pays
  /// for it is there for all processes together.
  func mayLeave(_ issuer: Issuer, _ source: Source, _ flight: UInt64, _ now: Int64) -> Bool {
    guard let store, let shelf = issuer.shelf else { return true }
    let outcome = issuer.shelf?.lock.take(
      shelf.lockName, store, holder: max(1, Chance.word()), now: now, timeout: source.settings.lockTimeout)
    switch outcome {
    case .denied(let since):
      let action = source.next(.takenElsewhere(since: since), now: now)
      settle(source, issuer, action, now)
      if case .proceed = action { return true }
      return false
    case .granted: return isStillWanted(issuer, source, flight, now)
    case .alone, nil: return true
    }
  }

  private func isStillWanted(_ issuer: Issuer, _ source: Source, _ flight: UInt64, _ now: Int64) -> Bool {
    let shared = store.flatMap { issuer.shelf?.lock.record($0.boot) }
    sync(issuer, source, shared, isOver: false, now)
    guard shared != nil, source.flight?.id == flight else { return source.flight?.id == flight }
    let action = source.next(.granted(flight: flight), now: now)
    settle(source, issuer, action, now)
    if case .proceed = action { return true }
    return false
  }

  /// Tells the others how the issuer stands.
  func share(_ issuer: Issuer, _ source: Source) {
    guard let store, let lock = issuer.shelf?.lock, lock.isHeld else { return }
    lock.write(source.shared, store.boot)
  }

  /// When the flight has ended, and what it has brought is in the store.
  func giveBack(_ issuer: Issuer, _ source: Source) {
    guard let lock = issuer.shelf?.lock, lock.isHeld, source.flight == nil, !source.isUnkept else { return }
    share(issuer, source)
    issuer.shelf?.lock.release()
  }

  // MARK: - What others bring

  /// Each issuer where something has changed, or whose flight another process makes.
  func lookIntoStore(_ now: Int64) {
    guard let store else { return }
    let isSweep = isSweepDue(store, now)
    unsafe engine.pointee.roster.visit { seat in
      guard let issuer = seat.issuer, let shelf = issuer.shelf else { return }
      let source = issuer.source
      guard source.isFetched else { return }
      if let flight = source.flight, flight.isElsewhere, !flight.isAgents {
        let isOver = !FlightLock.isHeldElsewhere(shelf.lockName, store)
        sync(issuer, source, nil, isOver: isOver, now)
      } else if isSweep || source.flight?.isAgents == true || shelf.retriesFrom != .max,
        store.look(shelf.name) != shelf.seen || now >= shelf.retriesFrom
      {
        sync(issuer, source, nil, isOver: false, now)
      }
      hearAnswer(issuer, source, now)
    }
  }

  private func isSweepDue(_ store: StoreDirectory, _ now: Int64) -> Bool {
    guard unsafe now >= engine.pointee.storeLook.next else { return false }
    let modified = store.modified
    note(.directory, modified == nil ? .absent : nil, at: now)
    let isChanged = unsafe modified != engine.pointee.storeLook.modified
    let isDue = unsafe isChanged || engine.pointee.storeLook.isFresh
    unsafe engine.pointee.storeLook = StoreLook(
      next: now &+ Cache.storeInterval, modified: modified, isFresh: isChanged)
    return isDue
  }

  /// Takes over what is newer than what is in force here.
  private func sync(
    _ issuer: Issuer, _ source: Source, _ shared: RefreshRecord?, isOver: Bool, _ now: Int64
  ) {
    guard let store, let name = issuer.storeName else { return }
    var record = shared ?? source.shared
    record.accepted = source.accepted
    let mark = store.look(name)
    if mark != issuer.shelf?.seen || now >= issuer.shelf?.retriesFrom ?? .max {
      issuer.shelf?.seen = mark
      let stored = stored(name, atMost: issuer.maximumDocument)
      let wall = unsafe engine.pointee.wall
      if let newer = takeOver(stored, issuer, source, now: now, wall: wall) {
        record.accepted = newer
        if isReader {
          hearAgent(now)
          record.backoff = .none
          if let flight = source.flight, newer.began >= flight.began { source.refuseKids(now: now) }
        }
      }
    }
    settle(source, issuer, source.next(.synced(record, isOver: isOver), now: now), now)
  }

  // MARK: - What is amiss

  /// Under the control lock. What no issuer has to do with is told without one.
  @inline(never)
  func note(_ trouble: StoreTrouble, _ fault: StoreFault?, at now: Int64, _ issuer: Issuer? = nil) {
    unsafe engine.pointee.troubles.note(trouble, fault, at: now, issuer?.teller ?? teller(0, .empty))
  }
}
