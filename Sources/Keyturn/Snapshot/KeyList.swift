/// What a snapshot held at one moment, copied into one block, so that it outlives the snapshot.
@safe struct KeyList {
  struct Entry {
    let index: Int
    let fault: KeyFault
    let lenient: Bool
    let kid: Bytes
    let thumbprint: Bytes
    let algorithms: AlgorithmSet
    let bits: UInt32
  }

  private let record: UnsafeMutablePointer<Items<Entry>>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: Items<Entry>.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  var entries: Items<Entry> { unsafe record.pointee }

  /// Within the epoch.
  static func make(of snapshot: Snapshot) throws(Status) -> KeyList {
    var arena = Arena.dry
    _ = copy(snapshot, &arena)
    let memory = try unsafe Memory.allocate(64 &+ arena.used)
    arena = unsafe Arena(memory + 64)
    unsafe memory.assumingMemoryBound(to: Items<Entry>.self).initialize(to: copy(snapshot, &arena))
    return unsafe KeyList(memory)
  }

  func release() { unsafe Memory.release(record) }

  private static func copy(_ snapshot: Snapshot, _ arena: inout Arena) -> Items<Entry> {
    let entries = arena.items(snapshot.count, of: Entry.self)
    for position in snapshot.count.times {
      let entry = snapshot.entry(position)
      entries.set(
        Entry(
          index: entry.index, fault: entry.fault, lenient: entry.lenient, kid: arena.copy(entry.kid),
          thumbprint: arena.copy(entry.thumbprint), algorithms: entry.key?.algorithms ?? .none,
          bits: entry.bits),
        at: position)
    }
    return entries
  }
}
