/// The keys of one issuer, as one accepted document had them: made off to the side, published whole, never
/// changed, and read by many threads at once.
///
/// Its memory begins with the epoch's link, and goes when the last reader that could see it has left.
@safe struct Snapshot {
  @unsafe let memory: UnsafeMutableRawPointer

  @unsafe init(_ memory: UnsafeMutableRawPointer) { unsafe self.memory = memory }

  private var record: UnsafePointer<SnapshotRecord> {
    unsafe UnsafePointer((memory + SnapshotRecord.offset).assumingMemoryBound(to: SnapshotRecord.self))
  }

  /// Keys that `old` holds already are taken from there, so that a key keeps its identity as long as it
  /// is published.
  static func make(of set: consuming JWKSet, sharing old: Snapshot?) throws(Status) -> Snapshot {
    let slots = HashIndex.slots(for: set.count)
    let memory = try unsafe Memory.allocate(SnapshotRecord.end &+ slots &* MemoryLayout<UInt32>.stride)
    let room = unsafe (memory + SnapshotRecord.end).assumingMemoryBound(to: UInt32.self)
    let index = try unsafe HashIndex(Items(room, count: slots))
    if let old { set.share { key in old.same(as: key) } }
    for position in set.count.times {
      if let key = set.entry(position).key { index.add(key.kid, position) }
    }
    unsafe (memory + SnapshotRecord.offset).assumingMemoryBound(to: SnapshotRecord.self)
      .initialize(to: SnapshotRecord(set: set, index: index))
    return unsafe Snapshot(memory)
  }

  var count: Int { unsafe record.pointee.set.count }

  func entry(_ position: Int) -> JWKSet.Entry { unsafe record.pointee.set.entry(position) }

  /// The keys that may have signed a token, in document order, at most four: those with its kid, or without
  /// one all those that serve its algorithm.
  func candidates(kid: Bytes?, fitting: (Key) -> Bool) -> Candidates {
    var candidates = Candidates()
    if let kid {
      unsafe record.pointee.index.forEach(kid) { position in
        candidates.consider(entry(position).key, named: kid, fitting)
      }
    } else {
      for position in count.times { candidates.consider(entry(position).key, named: nil, fitting) }
    }
    return candidates
  }

  private func same(as key: Key) -> Key? {
    var found: Key?
    unsafe record.pointee.index.forEach(key.kid) { position in
      if let mine = entry(position).key, mine.sameAs(key) { found = mine }
    }
    return found
  }

  /// Frees a snapshot that nobody can see any more.
  static func destroy(_ memory: UnsafeMutableRawPointer) {
    unsafe (memory + SnapshotRecord.offset).assumingMemoryBound(to: SnapshotRecord.self).deinitialize(
      count: 1)
    unsafe Memory.release(memory)
  }
}

struct SnapshotRecord: ~Copyable {
  let set: JWKSet
  let index: HashIndex

  /// Behind the epoch's link; before the slots of the index.
  static var offset: Int { 64 }
  static var end: Int { offset &+ (MemoryLayout<SnapshotRecord>.size &+ 63) & ~63 }
}

/// RFC 7515 appendix D lets a verifier try several keys; the bound keeps a token's cost bounded.
struct Candidates {
  private(set) var count = 0
  /// Whether a usable key had the kid, fitting or not.
  private(set) var named = false
  private var keys: (Key?, Key?, Key?, Key?) = (nil, nil, nil, nil)

  func key(at position: Int) -> Key? {
    switch position {
    case 0: keys.0
    case 1: keys.1
    case 2: keys.2
    case 3: keys.3
    default: nil
    }
  }

  mutating func consider(_ key: Key?, named kid: Bytes?, _ fitting: (Key) -> Bool) {
    guard let key else { return }
    if let kid {
      guard key.hasKid, key.kid == kid else { return }
      named = true
    }
    guard fitting(key) else { return }
    add(key)
  }

  private mutating func add(_ key: Key) {
    switch count {
    case 0: keys.0 = key
    case 1: keys.1 = key
    case 2: keys.2 = key
    case 3: keys.3 = key
    default: return
    }
    count &+= 1
  }
}
