/// One issuer: its name, the rules for its keys, and the snapshot of keys and revocations that counts now.
///
/// The handle is a borrowed pointer; `retain` and `release` say who holds it. An issuer holds its cache; the
/// cache only knows it, and forgets it with the last holder.
@safe struct Issuer: Equatable {
  private let record: UnsafeMutablePointer<IssuerRecord>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: IssuerRecord.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  static func make(_ options: IssuerOptions, cache: Cache) throws(Status) -> Issuer {
    let memory = try unsafe Memory.allocate(MemoryLayout<IssuerRecord>.size &+ options.name.count)
    let text = unsafe (memory + MemoryLayout<IssuerRecord>.size).assumingMemoryBound(to: UInt8.self)
    let room = unsafe Room(text, count: options.name.count)
    room.copy(options.name, at: 0)
    unsafe memory.assumingMemoryBound(to: IssuerRecord.self)
      .initialize(to: IssuerRecord(options, name: room.bytes(options.name.count), cache: cache))
    cache.retain()
    return unsafe Issuer(memory)
  }

  var name: Bytes { unsafe record.pointee.name }
  var cache: Cache { unsafe record.pointee.cache }
  var maximumDocument: Int { unsafe record.pointee.maximumDocument }

  /// In the cache's chain; read and written under the control lock.
  var next: Issuer? {
    get { unsafe record.pointee.next }
    nonmutating set { unsafe record.pointee.next = newValue }
  }

  static func == (left: Issuer, right: Issuer) -> Bool { unsafe left.record == right.record }

  func retain() { unsafe record.pointee.holders.retain() }

  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    let cache = cache
    ControlLock.with {
      cache.forget(self)
      exchange(for: nil, .small)
    }
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
    cache.release()
  }

  // MARK: - Its keys

  /// What counts now; until the reader, which has entered, leaves.
  func snapshot(_ reader: borrowing Reader) -> Snapshot? {
    unsafe record.pointee.trusted.load(reader).map { unsafe Snapshot($0) }
  }

  /// Reads the document off to the side, then puts its keys in place of those before in one exchange. All under the
  /// control lock: loads keep their order, and no fork leaves a child with a lock of libcrypto's that reading takes.
  func load(_ document: Bytes) throws(Fault) {
    try ControlLock.with { () throws(Fault) in
      try publish(try JWKSet.read(document, rules: unsafe record.pointee.rules))
    }
  }

  /// Takes keys and revocations away for good. False if that was done before.
  func remove() -> Bool {
    ControlLock.with {
      guard unsafe !record.pointee.removed else { return false }
      unsafe record.pointee.removed = true
      cache.forget(self)
      exchange(for: nil, .small)
      return true
    }
  }

  private func publish(_ set: consuming JWKSet) throws(Fault) {
    guard unsafe !record.pointee.removed else { throw .removed }
    guard Epoch.mayPublish() else {
      throw Fault(.busy, "A stalled thread holds back too many retired key sets; try again later.")
    }
    do throws(Status) {
      let keys = try KeySet.make(of: set, sharing: current?.keys)
      defer { keys.release() }
      exchange(for: try Snapshot.make(keys: keys, revocations: current?.revocations), .keySet)
    } catch { throw .noMemory }
  }

  // MARK: - Its revocations, all under the control lock

  var isRemoved: Bool { unsafe record.pointee.removed }

  var revocations: Revocations? { current?.revocations }

  /// Beats whatever document comes: new keys are published with the revocations that are there.
  func revoke(_ revocation: Revocation) throws(Status) {
    try publish(try Revocations.with(revocation, revocations))
  }

  func unrevoke(_ name: RevocationName) throws(Status) {
    guard let revocations else { return }
    try publish(try revocations.without(name))
  }

  /// Leaves out the revocations that are over.
  func sweep(at now: Int64) throws(Status) {
    guard let revocations else { return }
    try publish(try revocations.swept(at: now))
  }

  /// With the same keys. Never waits for readers: what it retires is small.
  private func publish(_ revocations: consuming Revocations) throws(Status) {
    defer { revocations.release() }
    exchange(for: try Snapshot.make(keys: current?.keys, revocations: revocations), .small)
  }

  private var current: Snapshot? {
    #if KEYTURN_MUTANT_REVOKE_LATE
      if let late = unsafe record.pointee.late { return late }
    #endif
    return unsafe record.pointee.trusted.current.map { unsafe Snapshot($0) }
  }

  /// The one step that changes what readers trust; what was there before goes to the epoch.
  private func exchange(for new: Snapshot?, _ kind: Retirement) {
    cache.count(new?.revocations, insteadOf: revocations)
    #if KEYTURN_MUTANT_REVOKE_LATE
      guard let due = unsafe record.pointee.delay(new, kind) else { return }
      let new: Snapshot? = due
    #endif
    guard let old = unsafe record.pointee.trusted.exchange(new?.memory) else { return }
    unsafe Epoch.retire(old, kind) { memory in unsafe Snapshot(memory).destroy() }
    Epoch.reclaim()
  }
}

struct IssuerOptions {
  let name: Bytes
  let rules: KeyRules
  let maximumDocument: Int
}

struct IssuerRecord: ~Copyable {
  let holders = Holders()
  let name: Bytes
  let rules: KeyRules
  let maximumDocument: Int
  let cache: Cache
  let trusted = Published()
  var removed = false
  #if KEYTURN_MUTANT_REVOKE_LATE
    // A revocation in force by the next change only: what the revocation suite must catch.
    var late: Snapshot?

    mutating func delay(_ new: Snapshot?, _ kind: Retirement) -> Snapshot? {
      defer { late = kind == .small ? new : nil }
      return kind == .small ? late : new
    }
  #endif
  var next: Issuer?

  init(_ options: IssuerOptions, name: Bytes, cache: Cache) {
    self.name = name
    self.rules = options.rules
    self.maximumDocument = options.maximumDocument
    self.cache = cache
  }
}
