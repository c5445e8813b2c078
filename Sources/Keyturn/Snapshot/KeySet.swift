/// The keys of one issuer, as one accepted document had them: made off to the side, never changed, and read
/// by many threads at once.
///
/// The handle is a borrowed pointer; `retain` and `release` say who holds it: snapshots, never readers.
@safe struct KeySet {
  private let record: UnsafeMutablePointer<KeySetRecord>

  /// One holder: the caller. Keys that `old` holds already are taken from there, so that a key keeps its
  /// identity as long as it is published.
  static func make(of set: consuming JWKSet, sharing old: KeySet?) throws(Status) -> KeySet {
    let slots = HashIndex.slots(for: set.count)
    let memory = try unsafe Memory.allocate(KeySetRecord.end &+ slots &* MemoryLayout<UInt32>.stride)
    let room = unsafe (memory + KeySetRecord.end).assumingMemoryBound(to: UInt32.self)
    let index: HashIndex
    do throws(Status) { index = try unsafe HashIndex(Items(room, count: slots)) } catch {
      unsafe Memory.release(memory)
      throw error
    }
    if let old { set.share { key in old.same(as: key) } }
    for position in set.count.times {
      if let key = set.entry(position).key { index.add(key.kid, position) }
    }
    let record = unsafe memory.assumingMemoryBound(to: KeySetRecord.self)
    unsafe record.initialize(to: KeySetRecord(set: set, index: index))
    return unsafe KeySet(record: record)
  }

  func retain() { unsafe record.pointee.holders.retain() }

  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    for position in count.times {
      if let key = entry(position).key, key.isHeldOnce { Readers.forget(key: key.id) }
    }
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }

  var count: Int { unsafe record.pointee.set.count }

  func entry(_ position: Int) -> JWKSet.Entry { unsafe record.pointee.set.entry(position) }

  /// Each usable key with this kid, in document order; without one, each usable key.
  func visit(kid: Bytes?, _ body: (Key) -> Void) {
    guard let kid else {
      for position in count.times {
        if let key = entry(position).key { body(key) }
      }
      return
    }
    unsafe record.pointee.index.forEach(kid) { position in
      if let key = entry(position).key, key.hasKid, key.kid == kid { body(key) }
    }
  }

  private func same(as key: Key) -> Key? {
    var found: Key?
    unsafe record.pointee.index.forEach(key.kid) { position in
      if let mine = entry(position).key, mine.sameAs(key) { found = mine }
    }
    return found
  }
}

struct KeySetRecord: ~Copyable {
  let holders = Holders()
  let set: JWKSet
  let index: HashIndex

  /// Before the slots of the index.
  static var end: Int { (MemoryLayout<KeySetRecord>.size &+ 63) & ~63 }

  init(set: consuming JWKSet, index: HashIndex) {
    self.set = set
    self.index = index
  }
}

/// The keys that may have signed a token, in document order, at most four: those with its kid, or without
/// one all those that serve its algorithm. RFC 7515 appendix D lets a verifier try several keys; the bound
/// keeps a token's cost bounded.
struct Candidates {
  private(set) var count = 0
  /// Whether a key had the kid, fitting or not.
  private(set) var named = false
  /// Whether a key was left out because it is revoked.
  private(set) var revoked = false
  private var keys: (Key?, Key?, Key?, Key?) = (nil, nil, nil, nil)

  init(of keys: KeySet, kid: Bytes?, revocations: Revocations?, now: Int64, fitting: (Key) -> Bool) {
    // A revoked kid is told as one even where no such key is published: no other answer could change it.
    if let kid, let revocations, revocations.revoke(.kid, kid, at: now) {
      revoked = true
      return
    }
    var found = Candidates()
    keys.visit(kid: kid) { key in
      found.named = kid != nil
      guard kid != nil || fitting(key) else { return }
      if revocations?.revoke(thumbprint: key.thumbprint, kid: key.kid, at: now) == true {
        found.revoked = true
      } else if fitting(key) {
        found.add(key)
      }
    }
    self = found
  }

  private init() {}

  /// Why there is none.
  var reason: Status {
    if revoked { return .keyRevoked }
    return named ? .keyMismatch : .keyNotFound
  }

  func key(at position: Int) -> Key? {
    switch position {
    case 0: keys.0
    case 1: keys.1
    case 2: keys.2
    case 3: keys.3
    default: nil
    }
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
