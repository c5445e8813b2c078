/// The keys of one issuer, as one accepted document had them, and those that have left and are still in their
/// grace: made off to the side, never changed, and read by many threads at once.
///
/// The handle is a borrowed pointer; `retain` and `release` say who holds it: snapshots, never readers.
@safe struct KeySet {
  /// A key that has left. Its texts are the key's own.
  struct Leftover {
    let entry: JWKSet.Entry
    /// From then on, by the steady clock, it is trusted no more.
    let until: Int64
  }

  private let record: UnsafeMutablePointer<KeySetRecord>

  /// One holder: the caller. Keys that `old` holds already are taken from there, so that a key keeps its
  /// identity as long as it is published; those that leave it do as `leaving` says.
  static func make(
    of set: consuming JWKSet, replacing old: KeySet?, _ leaving: Leaving
  ) throws(Status) -> KeySet {
    let most = leaving.most(of: old)
    var arena = Arena.dry
    _ = KeySetRecord.divide(&arena, keys: set.count &+ most, leftovers: most)
    let key = try HashKey.process
    let memory = try unsafe Memory.allocate(KeySetRecord.end &+ arena.used)
    arena = unsafe Arena(memory + KeySetRecord.end, capacity: arena.used)
    let (slots, room) = KeySetRecord.divide(&arena, keys: set.count &+ most, leftovers: most)
    if let old { set.share { key in old.same(as: key) } }
    let leftovers = room.first(old?.leave(to: set, leaving, room) ?? 0)
    let record = unsafe memory.assumingMemoryBound(to: KeySetRecord.self)
    unsafe record.initialize(
      to: KeySetRecord(set: set, leftovers: leftovers, index: HashIndex(slots, key: key)))
    let made = unsafe KeySet(record: record)
    made.fillIndex()
    return made
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

  var notes: JWKSet.Notes { unsafe record.pointee.set.notes }

  /// Those of the document, then those that have left it.
  var count: Int { unsafe record.pointee.set.count &+ record.pointee.leftovers.count }

  func entry(_ position: Int) -> JWKSet.Entry {
    unsafe leftover(position)?.entry ?? record.pointee.set.entry(position)
  }

  @inline(never)
  func key(at position: Int) -> Key? { entry(position).key }

  func narrowed(from old: KeyRules, to new: KeyRules) throws(Status) -> JWKSet {
    try unsafe record.pointee.set.narrowed(from: old, to: new)
  }

  /// Only then does it matter what time it is.
  @inline(__always)
  var hasLeftovers: Bool { unsafe record.pointee.leftovers.count > 0 }

  func leftover(_ position: Int) -> Leftover? {
    unsafe record.pointee.leftovers.item(at: position &- record.pointee.set.count)
  }

  /// Whether it is in the document, or its grace is not over.
  func isTrusted(_ position: Int, at now: Int64) -> Bool { leftover(position).map { now < $0.until } ?? true }

  /// Each usable key with this kid, in document order; without one, each usable key. `now` is the steady clock's.
  func visit(kid: Bytes?, at now: Int64, _ body: (Key) -> Void) {
    guard let kid else {
      for position in count.times {
        if let key = entry(position).key, isTrusted(position, at: now) { body(key) }
      }
      return
    }
    unsafe record.pointee.index.forEach(kid) { position in
      if let key = entry(position).key, key.hasKid, key.kid == kid, isTrusted(position, at: now) { body(key) }
    }
  }

  /// Where the key of this id stands, if it alone can serve a token with a kid of this hash, or one without. Where there is
  /// a choice, it would depend on the other keys which of them serves.
  @_optimize(speed)
  func only(_ id: UInt64, kid: UInt64?) -> Int? {
    guard let kid else { return count == 1 && entry(0).key?.id == id ? 0 : nil }
    var (mine, number) = (nil as Int?, 0)
    while let position = unsafe record.pointee.index.place(number, of: kid) {
      number &+= 1
      guard let key = entry(position).key, key.hasKid else { continue }
      if isTheOne(key, id) { mine = position } else if isNamed(key, kid) { return nil }
    }
    return mine
  }

  @inline(__always)
  private func isTheOne(_ key: Key, _ id: UInt64) -> Bool {
    #if KEYTURN_MUTANT_TOKEN_REKEYED  // what the tokens suite must catch
      return true
    #else
      return key.id == id
    #endif
  }

  /// Another one that stands near: seldom.
  @inline(never)
  private func isNamed(_ key: Key, _ hash: UInt64) -> Bool {
    unsafe record.pointee.index.hash(key.kid) == hash
  }

  private func fillIndex() {
    for position in count.times {
      if let key = entry(position).key { unsafe record.pointee.index.add(key.kid, position) }
    }
  }

  /// Each usable key of the document.
  func visitPublished(_ body: (Key) -> Void) {
    for position in unsafe record.pointee.set.count.times {
      if let key = entry(position).key { body(key) }
    }
  }

  /// Whether the document has this very key; and whether it has another one of the same kid.
  func knows(_ key: Key) -> (itself: Bool, another: Bool) {
    var (itself, another) = (false, false)
    unsafe record.pointee.index.forEach(key.kid) { position in
      guard leftover(position) == nil, let mine = entry(position).key else { return }
      if mine == key { itself = true } else if mine.hasKid, key.hasKid, mine.kid == key.kid { another = true }
    }
    return (itself, another)
  }

  /// The sum of each usable key's, so that it is the same in every process, and in whatever order they come.
  var digest: InlineArray<4, UInt64> {
    var sum = InlineArray<4, UInt64>(repeating: 0)
    visitPublished { key in
      let one = KeySet.digest(of: key)
      for word in 4.times { sum[word] &+= one[word] }
    }
    return sum
  }

  static func digest(of key: Key) -> InlineArray<4, UInt64> { digest(of: key.kid, key.thumbprint) }

  /// SHA-256 over that of a kid, and a thumbprint. Nil words where libcrypto could not do it.
  @inline(never)
  static func digest(of kid: Bytes, _ thumbprint: Bytes) -> InlineArray<4, UInt64> {
    var sum = InlineArray<4, UInt64>(repeating: 0)
    var text = InlineArray<96, UInt8>(repeating: 0)
    text.withRoom { room in
      do throws(Status) {
        try SHA256.write(kid, into: room)
        room.copy(thumbprint, at: SHA256.length)
        try SHA256.write(room.bytes(SHA256.length &+ thumbprint.count), into: room)
        for word in 4.times { sum[word] = room.bytes(SHA256.length).word(at: word &* 8) ?? 0 }
      } catch { return }
    }
    return sum
  }

  private func same(as key: Key) -> Key? {
    var found: Key?
    unsafe record.pointee.index.forEach(key.kid) { position in
      if let mine = entry(position).key, mine.sameAs(key) { found = mine }
    }
    return found
  }

  /// Fills the room with the keys that are absent from the set and keep, or get, a grace: how many. Those that leave
  /// now come first, so that they find room.
  private func leave(to set: borrowing JWKSet, _ leaving: Leaving, _ room: Items<Leftover>) -> Int {
    var place = 0
    for position in count.times where place < room.count {
      guard let until = leaving.until(leftover(position)?.until), let key = entry(position).key,
        leaving.rules.allow(key.thumbprint), !set.speaks(of: key)
      else { continue }
      key.retain()
      var entry = entry(position)
      (entry.kid, entry.thumbprint) = (key.kid, key.thumbprint)
      room.set(Leftover(entry: entry, until: until), at: place)
      place &+= 1
    }
    return place
  }
}

extension Key {
  /// Under the control lock: with its last holder goes what threads have counted of it.
  func letGo() {
    if isHeldOnce { Readers.forget(key: id) }
    release()
  }
}

/// What becomes of the keys that a new set has not got: trusted no more from the swap on, or a grace later. It counts
/// from the first set without them, and nothing makes it longer.
struct Leaving {
  /// The steady clock's.
  let now: Int64
  let grace: Int64
  let rules: KeyRules

  fileprivate func most(of old: KeySet?) -> Int { grace > 0 ? min(rules.maxKeys, old?.count ?? 0) : 0 }

  /// nil if it is over, as it is where nobody knows the time.
  fileprivate func until(_ earlier: Int64?) -> Int64? {
    let (until, isNever) = now.addingReportingOverflow(grace)
    guard !isNever, earlier ?? until > now else { return nil }
    return min(until, earlier ?? until)
  }
}

extension JWKSet {
  /// Whether a key that was trusted is in it, or comes back in a form that cannot be: then it has not just left.
  fileprivate func speaks(of key: Key) -> Bool {
    for index in count.times {
      let entry = entry(index)
      if entry.thumbprint == key.thumbprint, entry.key == nil || entry.kid == key.kid { return true }
    }
    return false
  }
}

struct KeySetRecord: ~Copyable {
  let holders = Holders()
  let set: JWKSet
  let leftovers: Items<KeySet.Leftover>
  let index: HashIndex

  /// Before the slots of the index and the leftovers.
  static var end: Int { (MemoryLayout<KeySetRecord>.size &+ 63) & ~63 }

  init(set: consuming JWKSet, leftovers: Items<KeySet.Leftover>, index: HashIndex) {
    self.set = set
    self.leftovers = leftovers
    self.index = index
  }

  deinit {
    for place in leftovers.count.times { leftovers.item(at: place)?.entry.key?.release() }
  }

  fileprivate static func divide(
    _ arena: inout Arena, keys: Int, leftovers: Int
  ) -> (Items<UInt32>, Items<KeySet.Leftover>) {
    (
      arena.items(HashIndex.slots(for: keys), of: UInt32.self),
      arena.items(leftovers, of: KeySet.Leftover.self)
    )
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

  /// `now` is the wall clock's, `steady` the other's.
  init(
    of keys: KeySet, kid: Bytes?, revocations: Revocations?, now: Int64, steady: Int64, fitting: (Key) -> Bool
  ) {
    // A revoked kid is told as one even where no such key is published: no other answer could change it.
    if let kid, let revocations, revocations.revoke(.kid, kid, at: now) {
      revoked = true
      return
    }
    var found = Candidates()
    keys.visit(kid: kid, at: steady) { key in
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
