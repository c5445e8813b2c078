internal import Synchronization

/// One usable key. A record is one block of raw memory, written once and then only read, but for the count of
/// its holders and the time when it came in force; whoever keeps a `Key` holds it by `retain` and lets it go by `release`.
@safe struct Key: Equatable {
  private let record: UnsafeMutablePointer<KeyRecord>

  /// Longer than any that an issuer has reason to publish; a policy's bound for tokens is at most this.
  static var longestKid: Int { 4_096 }

  /// What a record is made of.
  struct Description {
    var kind: KeyKind
    var algorithms: AlgorithmSet
    var declared: Bool
    var bits: UInt32
    var kid: Bytes?
    var thumbprint: Bytes
    /// Of an `oct` key; of no other kind.
    var secret: Bytes
  }

  /// A new record with one holder: the caller. Everything is copied; `publicKey` is taken over.
  static func make(_ description: Description, _ publicKey: consuming PublicKey) throws(Status) -> Key {
    let kid = description.kid ?? .empty
    let head = MemoryLayout<KeyRecord>.stride
    let start = head &+ (description.kind == .oct ? HMACStates.size : 0)
    let size = start &+ kid.count &+ description.thumbprint.count &+ description.secret.count
    let block = try unsafe Memory.allocate(size)
    let texts = unsafe Room(
      block.advanced(by: start).assumingMemoryBound(to: UInt8.self), count: size &- start)
    let record = unsafe block.assumingMemoryBound(to: KeyRecord.self)
    unsafe record.initialize(to: KeyRecord(description, texts, size, publicKey))
    let key = unsafe Key(record: record)
    key.hmacStates?.fill(key.secret)
    return key
  }

  /// Of a key that somebody holds.
  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: KeyRecord.self)
  }

  private init(record: UnsafeMutablePointer<KeyRecord>) { unsafe self.record = unsafe record }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  /// Unlike any other key's that this process ever had.
  var id: UInt64 { unsafe record.pointee.id }
  var kind: KeyKind { unsafe record.pointee.kind }
  /// All that it may verify. Of an RSA key without `alg` these are RS and PS of all sizes, of which the
  /// caller chooses; `declared` tells.
  var algorithms: AlgorithmSet { unsafe record.pointee.algorithms }
  /// Whether the JWK has an `alg`.
  var declared: Bool { unsafe record.pointee.declared }
  /// Of the modulus, the curve or the secret; 0 where there is no such number.
  var bits: UInt32 { unsafe record.pointee.bits }
  var kid: Bytes { unsafe record.pointee.kid }
  var hasKid: Bool { unsafe record.pointee.hasKid }
  /// RFC 7638, with SHA-256, in Base64url.
  var thumbprint: Bytes { unsafe record.pointee.thumbprint }
  var secret: Bytes { unsafe record.pointee.secret }

  /// Of an `oct` key; of no other kind.
  @inline(__always)
  var hmacStates: HMACStates? {
    kind == .oct ? unsafe HMACStates(UnsafeMutableRawPointer(record + 1)) : nil
  }

  /// libcrypto's; nil for an `oct` key. Borrowed: it lives as long as the record.
  @unsafe var publicKey: OpaquePointer? { unsafe record.pointee.publicKey.pointer }

  static func == (left: Key, right: Key) -> Bool { unsafe left.record == right.record }

  /// Whether two records stand for the same published key, so that one can take the place of the other.
  func sameAs(_ other: Key) -> Bool {
    thumbprint == other.thumbprint && kid == other.kid && hasKid == other.hasKid
      && algorithms == other.algorithms && declared == other.declared
  }

  /// The same key for those of its algorithms alone that are among `allowed`, with one holder more: the caller. nil if
  /// none is.
  func narrowed(to allowed: AlgorithmSet) throws(Status) -> Key? {
    let kept = algorithms.intersection(allowed)
    guard !kept.isEmpty else { return nil }
    guard !algorithms.isSubset(of: kept) else {
      retain()
      return self
    }
    let description = Description(
      kind: kind, algorithms: kept, declared: declared, bits: bits, kid: hasKid ? kid : nil,
      thumbprint: thumbprint, secret: secret)
    return try Key.make(description, unsafe record.pointee.publicKey.shared())
  }

  func retain() { unsafe record.pointee.holders.retain() }

  /// It is in force from `now` on, unless it is already. Under the control lock.
  func see(at now: Int64) {
    if firstSeen == .min { unsafe record.pointee.seen.store(now, ordering: .relaxed) }
  }

  /// When it came in force, in the milliseconds of the cache.
  var firstSeen: Int64 { unsafe record.pointee.seen.load(ordering: .relaxed) }

  /// Of its tokens, those that are in the store's sum, and those that are to be. Under the control lock.
  var summed: UInt64 {
    get { unsafe record.pointee.summed.load(ordering: .relaxed) }
    nonmutating set { unsafe record.pointee.summed.store(newValue, ordering: .relaxed) }
  }
  var counted: UInt64 {
    get { unsafe record.pointee.counted.load(ordering: .relaxed) }
    nonmutating set { unsafe record.pointee.counted.store(newValue, ordering: .relaxed) }
  }

  // MARK: - Its table

  /// Once it is made; it lives as long as the record.
  @inline(__always)
  var table: PointTable? {
    unsafe record.pointee.table.load(ordering: .acquiring).map { unsafe PointTable($0) }
  }

  /// Whether it may earn one, and has not verified often enough yet.
  @inline(__always)
  var isEarningTable: Bool {
    unsafe record.pointee.uses.load(ordering: .relaxed) < KeyRecord.usesForTable
  }

  /// One verification more: whether it is the last that is wanted.
  func earnTable() -> Bool {
    unsafe record.pointee.uses.wrappingAdd(1, ordering: .relaxed).newValue == KeyRecord.usesForTable
  }

  /// Its next use is the last that is wanted.
  func waitForTable() { unsafe record.pointee.uses.store(KeyRecord.usesForTable &- 1, ordering: .relaxed) }

  /// Once, by who holds the key.
  func put(_ table: PointTable) { unsafe record.pointee.table.store(table.memory, ordering: .releasing) }

  /// Whether nobody will hold it any more when the caller, who holds it, lets go.
  var isHeldOnce: Bool { unsafe record.pointee.holders.isOne }

  /// The last one to let go frees the record.
  func release() {
    if unsafe record.pointee.holders.release() { destroy() }
  }

  private func destroy() {
    if let table {
      table.destroy()
      PointTable.giveBack()
    }
    let size = unsafe record.pointee.size
    unsafe record.deinitialize(count: 1)
    unsafe Memory.wipe(record, size)
    unsafe Memory.release(record)
  }
}

/// The head of a record's block; the states of an `oct` key, kid, thumbprint and secret follow it.
@safe private struct KeyRecord: ~Copyable {
  let holders = Holders()
  let seen = Atomic<Int64>(.min)
  let summed = Atomic<UInt64>(0)
  let counted = Atomic<UInt64>(0)
  /// How often it has verified, until it has earned a table, or has from the start none to earn.
  let uses: Atomic<Int>
  let table = unsafe Atomic<UnsafeMutableRawPointer?>(nil)
  let id: UInt64
  let size: Int
  let publicKey: PublicKey
  let algorithms: AlgorithmSet
  let bits: UInt32
  let kind: KeyKind
  let declared: Bool
  let hasKid: Bool
  let kid: Bytes
  let thumbprint: Bytes
  let secret: Bytes

  static var usesForTable: Int { 100 }

  init(_ description: Key.Description, _ texts: Room, _ size: Int, _ publicKey: consuming PublicKey) {
    id = Serial.next()
    self.size = size
    self.publicKey = publicKey
    algorithms = description.algorithms
    bits = description.bits
    kind = description.kind
    uses = Atomic(PointTable.curve(description.kind) == nil ? KeyRecord.usesForTable : 0)
    declared = description.declared
    hasKid = description.kid != nil
    var end = 0
    kid = KeyRecord.keep(description.kid ?? .empty, in: texts, &end)
    thumbprint = KeyRecord.keep(description.thumbprint, in: texts, &end)
    secret = KeyRecord.keep(description.secret, in: texts, &end)
  }

  private static func keep(_ text: Bytes, in texts: Room, _ end: inout Int) -> Bytes {
    texts.copy(text, at: end)
    let kept = texts.slice(from: end, length: text.count).bytes(text.count)
    end &+= text.count
    return kept
  }
}
