/// The keys of a snapshot at one moment, copied into one block, so that the list outlives the snapshot.
@safe struct KeyList {
  struct Entry {
    let index: Int
    let fault: KeyFault
    let lenient: Bool
    let kid: Bytes
    let thumbprint: Bytes
    let algorithms: AlgorithmSet
    let bits: UInt32
    let revoked: Bool
    let uses: Uses
  }

  private let record: UnsafeMutablePointer<Items<Entry>>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: Items<Entry>.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  var entries: Items<Entry> { unsafe record.pointee }

  /// Under the control lock.
  static func make(of snapshot: Snapshot?, now: Int64) throws(Status) -> KeyList {
    guard let keys = snapshot?.keys else { throw .keysUnavailable }
    var arena = Arena.dry
    _ = copy(keys, &arena, snapshot?.revocations, now)
    let memory = try unsafe Memory.allocate(64 &+ arena.used)
    arena = unsafe Arena(memory + 64, capacity: arena.used)
    unsafe memory.assumingMemoryBound(to: Items<Entry>.self).initialize(
      to: copy(keys, &arena, snapshot?.revocations, now))
    return unsafe KeyList(memory)
  }

  func release() { unsafe Memory.release(record) }

  private static func copy(
    _ keys: KeySet, _ arena: inout Arena, _ revocations: Revocations?, _ now: Int64
  ) -> Items<Entry> {
    let entries = arena.items(keys.count, of: Entry.self)
    for position in keys.count.times {
      let entry = keys.entry(position)
      entries.set(
        Entry(
          index: entry.index, fault: entry.fault, lenient: entry.lenient, kid: arena.copy(entry.kid),
          thumbprint: arena.copy(entry.thumbprint), algorithms: entry.key?.algorithms ?? .none,
          bits: entry.bits,
          revoked: revocations?.revoke(thumbprint: entry.thumbprint, kid: entry.kid, at: now) ?? false,
          uses: entry.key.map { Readers.uses(of: $0.id) } ?? Uses()),
        at: position)
    }
    return entries
  }
}
