// Tables for keys that verify often (JOSE/PointTable.swift). Whoever verifies counts, until the key has earned one and
// leaves it to the engine; whoever does the engine's work makes it, after all that is due, in no lock, one at a time.
internal import CKeyturn
internal import Synchronization

/// Who makes tables.
enum TableMaking {
  case started, always, never
}

extension Cache {
  /// A key has verified. Within the epoch, so that it is held.
  @inline(__always)
  func note(useOf key: Key) {
    if key.isEarningTable { count(useOf: key) }
  }

  @inline(never)
  private func count(useOf key: Key) {
    guard tableMaking != .never, unsafe engine.pointee.earner.load(ordering: .relaxed) == nil, key.earnTable()
    else { return }
    key.retain()
    let (isTaken, _) = unsafe engine.pointee.earner.compareExchange(
      expected: nil, desired: key.memory, ordering: .releasing)
    guard !isTaken else { return }
    key.waitForTable()
    key.release()
  }

  /// Whether one was to be made: then there may be more.
  @inline(never)
  func makeTable() -> Bool {
    guard unsafe engine.pointee.earner.load(ordering: .relaxed) != nil,
      let key = ControlLock.with({ claimEarner() })
    else { return false }
    let table = unsafe PointTable.make(key.kind, key.publicKey)
    ControlLock.with {
      if let table { key.put(table) } else { PointTable.giveBack() }
      unsafe engine.pointee.maker = 0
      letEarnerGo()
    }
    return true
  }

  // MARK: - Under the control lock, so that in the child of a fork no key and no place is a lost thread's

  /// The key, with a place for its table. One at a time: its maker is the process, by its number, so that what a parent
  /// was making its child makes anew, in the place that was taken for it.
  private func claimEarner() -> Key? {
    let (process, maker) = unsafe (ckeyturn_forks() &+ 1, engine.pointee.maker)
    guard maker != process, let memory = unsafe engine.pointee.earner.load(ordering: .acquiring),
      maker != 0 || PointTable.reserve()
    else { return nil }
    unsafe engine.pointee.maker = process
    return unsafe Key(memory)
  }

  private func letEarnerGo() {
    if let memory = unsafe engine.pointee.earner.exchange(nil, ordering: .acquiring) {
      unsafe Key(memory).letGo()
    }
  }

  /// With the last who uses the cache.
  func dropEarner() {
    ControlLock.with {
      if unsafe engine.pointee.maker != 0 { PointTable.giveBack() }
      letEarnerGo()
    }
  }
}
