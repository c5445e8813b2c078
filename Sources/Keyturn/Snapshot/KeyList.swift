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
    /// How long it is trusted still; 0 for a key of the document.
    let grace: Int64
    let uses: Uses
    /// Whether they are all that there were.
    let isGapless: Bool
    /// Unix seconds; 0 where it is left out.
    let firstSeen: Int64
    let lastSeen: Int64
    let hasTable: Bool
  }

  private let record: UnsafeMutablePointer<Items<Entry>>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: Items<Entry>.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  var entries: Items<Entry> { unsafe record.pointee }

  /// Under the control lock; `uses` tells those of a key, and whether they are all. `now` is the wall clock's, `steady` the other's; `confirmed` is when the set was last known to
  /// be the issuer's, by the wall clock.
  static func make(
    of snapshot: Snapshot?, now: Int64, steady: Int64, confirmed: Int64, _ uses: (Key) -> (Uses, Bool)
  ) throws(Status) -> KeyList {
    guard let keys = snapshot?.keys else { throw .keysUnavailable }
    let times = Times(now: now, steady: steady, confirmed: confirmed)
    var arena = Arena.dry
    _ = copy(keys, &arena, snapshot?.revocations, times, uses)
    let memory = try unsafe Memory.allocate(64 &+ arena.used)
    arena = unsafe Arena(memory + 64, capacity: arena.used)
    unsafe memory.assumingMemoryBound(to: Items<Entry>.self).initialize(
      to: copy(keys, &arena, snapshot?.revocations, times, uses))
    return unsafe KeyList(memory)
  }

  func release() { unsafe Memory.release(record) }

  private struct Times {
    let now: Int64
    let steady: Int64
    let confirmed: Int64
  }

  private static func copy(
    _ keys: KeySet, _ arena: inout Arena, _ revocations: Revocations?, _ times: Times,
    _ told: (Key) -> (Uses, Bool)
  ) -> Items<Entry> {
    let entries = arena.items(keys.count, of: Entry.self)
    var place = 0
    for position in keys.count.times where keys.isTrusted(position, at: times.steady) {
      let entry = keys.entry(position)
      let (uses, isGapless) = entry.key.map(told) ?? (Uses(), false)
      entries.set(
        Entry(
          index: entry.index, fault: entry.fault, lenient: entry.lenient, kid: arena.copy(entry.kid),
          thumbprint: arena.copy(entry.thumbprint), algorithms: entry.key?.algorithms ?? .none,
          bits: entry.bits,
          revoked: revocations?.revoke(thumbprint: entry.thumbprint, kid: entry.kid, at: times.now) ?? false,
          grace: keys.leftover(position).map { $0.until &- times.steady } ?? 0,
          uses: uses, isGapless: isGapless,
          firstSeen: entry.key.map { times.now &- (times.steady &- $0.firstSeen) / 1_000 } ?? 0,
          lastSeen: entry.key == nil || keys.leftover(position) != nil ? 0 : times.confirmed,
          hasTable: entry.key?.table != nil),
        at: place)
      place &+= 1
    }
    return entries.first(place)
  }
}
