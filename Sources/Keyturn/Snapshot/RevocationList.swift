/// The revocations of a snapshot at one moment, copied into one block, so that the list outlives the snapshot.
@safe struct RevocationList {
  struct Entry {
    let kind: RevocationKind
    let value: Bytes
    let date: Int64
    let until: Int64
  }

  private struct Record {
    let entries: Items<Entry>
  }

  private let record: UnsafeMutablePointer<Record>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: Record.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  var entries: Items<Entry> { unsafe record.pointee.entries }

  /// Within the epoch. Those that are over are left out.
  static func make(of revocations: Revocations?, now: Int64) throws(Status) -> RevocationList {
    var arena = Arena.dry
    _ = copy(revocations, now, &arena)
    let memory = try unsafe Memory.allocate(64 &+ arena.used)
    arena = unsafe Arena(memory + 64, capacity: arena.used)
    unsafe memory.assumingMemoryBound(to: Record.self).initialize(
      to: Record(entries: copy(revocations, now, &arena)))
    return unsafe RevocationList(memory)
  }

  func release() { unsafe Memory.release(record) }

  private static func copy(_ revocations: Revocations?, _ now: Int64, _ arena: inout Arena) -> Items<Entry> {
    guard let revocations else { return .none }
    let entries = arena.items(revocations.count &- revocations.overdue(at: now), of: Entry.self)
    var place = 0
    revocations.visit { revocation in
      guard !revocation.isOver(at: now) else { return }
      let name = revocation.name
      entries.set(
        Entry(kind: name.kind, value: arena.copy(name.value), date: name.date, until: revocation.until),
        at: place)
      place &+= 1
    }
    return entries
  }
}
