// Tables for keys that verify often (JOSE/PointTable.swift). Whoever verifies counts, until the key has earned one and
// leaves it to the engine; whoever does the engine's work makes it, after all that is due, in no lock, one at a time.
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
    guard unsafe engine.pointee.earner.load(ordering: .relaxed) != nil, PointTable.reserve() else {
      return false
    }
    if !dropEarner({ key in key.makeTable() }) { PointTable.giveBack() }
    return true
  }

  /// Whether `body` says so of it.
  @discardableResult
  func dropEarner(_ body: (Key) -> Bool = { _ in false }) -> Bool {
    guard let memory = unsafe engine.pointee.earner.exchange(nil, ordering: .acquiring) else { return false }
    let key = unsafe Key(memory)
    defer { ControlLock.with { key.letGo() } }
    return body(key)
  }
}
