internal import CKeyturn

/// The issuers of a host and the clock that judges them. Issuers share no keys.
///
/// The handle is a borrowed pointer; `retain` and `release` say who holds it.
@safe struct Cache: Equatable {
  private let record: UnsafeMutablePointer<CacheRecord>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: CacheRecord.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  static func make(
    clock: WallClock, steady: SteadyClock, hook: FetchHook?, maximumIssuers: Int, maximumRevocations: Int,
    maximumFetches: Int, maximumEvents: Int, feed: Feed.Role, tokens: Int
  ) throws(Status) -> Cache {
    try Readers.start()
    try ControlLock.with { () throws(Status) in
      try Libcrypto.start()
      try Document.start()
    }
    let key = try HashKey.process
    let chains = MemoryLayout<Issuer?>.stride &* CacheRecord.chains
    let engine = try Engine(
      hook, steady, Feed(feed), maximumIssuers: maximumIssuers, maximumFetches: maximumFetches,
      maximumEvents: maximumEvents)
    let memory = try unsafe Memory.allocate(CacheRecord.size &+ chains &+ MemoryLayout<Engine>.size)
    let kept: TokenCache?
    do throws(Status) { kept = tokens > 0 ? try TokenCache(size: tokens) : nil } catch {
      unsafe Memory.release(memory)
      throw error
    }
    let heads = unsafe (memory + CacheRecord.size).assumingMemoryBound(to: Issuer?.self)
    for chain in CacheRecord.chains.times { unsafe (heads + chain).initialize(to: nil) }
    let place = unsafe (memory + CacheRecord.size + chains).assumingMemoryBound(to: Engine.self)
    unsafe place.initialize(to: engine)
    unsafe memory.assumingMemoryBound(to: CacheRecord.self).initialize(
      to: CacheRecord(
        clock: clock, key: key, maximumIssuers: maximumIssuers, maximumRevocations: maximumRevocations,
        heads: Items(heads, count: CacheRecord.chains), engine: place, tokens: kept))
    return unsafe Cache(memory)
  }

  var clock: WallClock { unsafe record.pointee.clock }
  /// Unlike any other's that this process ever had.
  var id: UInt64 { unsafe record.pointee.id }

  /// nil where none are kept.
  @inline(__always)
  var tokens: TokenCache? { unsafe record.pointee.tokens }

  /// How events of an issuer get into the journal, which lives as long as the cache.
  func teller(_ issuer: UInt64, _ name: Bytes) -> Teller {
    unsafe withUnsafeMutablePointer(to: &engine.pointee.journal) { journal in
      unsafe Teller(journal, name: name, issuer: issuer)
    }
  }

  /// What keeps the keys of issuers with a URL fresh.
  var engine: UnsafeMutablePointer<Engine> { unsafe UnsafePointer(record).pointee.engine }
  var steadyNow: Int64 { unsafe engine.pointee.clock.now }

  /// Set once, before the cache is handed out, which owns it.
  var store: StoreDirectory? {
    get { unsafe record.pointee.store }
    nonmutating set { unsafe record.pointee.store = newValue }
  }

  /// The same.
  var tableMaking: TableMaking {
    get { unsafe record.pointee.tableMaking }
    nonmutating set { unsafe record.pointee.tableMaking = newValue }
  }

  static func == (left: Cache, right: Cache) -> Bool { unsafe left.record == right.record }

  func retain() { unsafe record.pointee.holders.retain() }

  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    closeBell()
    releaseMemory()
  }

  /// The host has one handle more: of the cache, of an issuer or of a policy.
  func lend() { unsafe record.pointee.handles.retain() }

  /// The host gives one back. With the last the engine stops, before the call returns: what the engine's thread holds at that
  /// moment is not the host's, and calls no function of the host's afterwards.
  @inline(never)
  func takeBack() {
    if unsafe record.pointee.handles.release() { stop() }
  }

  /// By what may outlive the host's handles: fetches, and the engine's thread.
  func retainMemory() { unsafe record.pointee.users.retain() }

  func releaseMemory() {
    guard unsafe record.pointee.users.release() else { return }
    dropCompleted()
    dropEarner()
    leaveFeed()
    unsafe ckeyturn_store_close(engine.pointee.summing.directory)
    store?.close()
    tokens?.unmap()
    ControlLock.with { Readers.forget(owner: id) }
    unsafe engine.deinitialize(count: 1)
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }

  // MARK: - Its issuers

  /// Takes over the terms and the acceptance, also when it fails. `open` as in `start`.
  func add(
    _ options: IssuerOptions, _ terms: SourceTerms, _ open: () throws(Fault) -> FetchHook
  ) throws(Fault) -> Issuer {
    let source: Source
    do throws(Fault) { source = try Source.make(terms) } catch {
      options.acceptance.destroy()
      throw error
    }
    let issuer: Issuer
    do throws(Fault) {
      issuer = try Fault.of { () throws(Status) in try Issuer.make(options, source, cache: self) }
    } catch {
      source.destroy()
      options.acceptance.destroy()
      throw error
    }
    let now = time
    let wall = clock.now
    let stored = source.isFetched ? stored(issuer.storeName, atMost: issuer.maximumDocument) : .none
    do throws(Fault) {
      if source.isFetched { try openIfStarted(open) }
      let file = try SourceFile(terms.file, atMost: issuer.maximumDocument)
      try ControlLock.with { () throws(Fault) in
        unsafe engine.pointee.wall = wall
        try enrol(issuer)
        try Fault.of { () throws(Status) in try seat(issuer, source) }
        let candidate = try issuer.candidate(file, now: now)
        // From here on nothing fails, and what the keys have to tell comes behind it.
        issuer.teller.tell(Event(.issuerAdded), at: now)
        begin(issuer, source, stored, now: now, wall: wall)
        issuer.putInForce(candidate, file, now)
      }
      try beginWithRevocations(of: issuer)
    } catch {
      issuer.release()
      throw error
    }
    return issuer
  }

  /// Under the control lock. Nothing happens for an issuer that is not known.
  func forget(_ issuer: Issuer) {
    let chain = chain(issuer)
    guard let head = heads.item(at: chain) ?? nil else { return }
    if head == issuer {
      heads.set(issuer.next, at: chain)
      unsafe record.pointee.issuerCount &-= 1
      return
    }
    var before = head
    while let after = before.next {
      if after == issuer {
        before.next = issuer.next
        unsafe record.pointee.issuerCount &-= 1
        return
      }
      before = after
    }
  }

  /// Under the control lock: one after the other, in no order.
  var firstIssuer: Issuer? { firstIssuer(from: 0) }

  func issuer(after issuer: Issuer) -> Issuer? { issuer.next ?? firstIssuer(from: chain(issuer) &+ 1) }

  var issuerCount: Int { unsafe record.pointee.issuerCount }

  private func firstIssuer(from start: Int) -> Issuer? {
    var chain = start
    while chain < heads.count {
      if let issuer = heads.item(at: chain) ?? nil { return issuer }
      chain &+= 1
    }
    return nil
  }

  private func enrol(_ issuer: Issuer) throws(Fault) {
    guard !knows(issuer) else {
      throw Fault(.invalidOption, "The cache has an issuer of this name already.", option: "issuer")
    }
    guard unsafe record.pointee.issuerCount < record.pointee.maximumIssuers else {
      throw Fault(
        .invalidOption, "The cache holds as many issuers as its max_issuers allows.", option: "issuer")
    }
    let chain = chain(issuer)
    issuer.next = heads.item(at: chain) ?? nil
    heads.set(issuer, at: chain)
    unsafe record.pointee.issuerCount &+= 1
  }

  private func knows(_ new: Issuer) -> Bool {
    var issuer = heads.item(at: chain(new)) ?? nil
    while let known = issuer {
      if known.name == new.name { return true }
      issuer = known.next
    }
    return false
  }

  /// Under the control lock, where there is a store.
  func issuer(_ digest: IssuerDigest) -> Issuer? {
    var issuer = heads.item(at: chain(digest)) ?? nil
    while let known = issuer, known.shelf?.digest != digest { issuer = known.next }
    return issuer
  }

  // MARK: - How many revocations they have, all under the control lock

  /// What an issuer publishes is counted in place of what it published before.
  func count(_ new: Revocations?, insteadOf old: Revocations?) {
    unsafe record.pointee.revocationCount &+= (new?.count ?? 0) &- (old?.count ?? 0)
  }

  /// How many more there may be; below zero where siblings have added some meanwhile.
  var revocationsLeft: Int { unsafe record.pointee.maximumRevocations &- record.pointee.revocationCount }
  var maximumRevocations: Int { unsafe record.pointee.maximumRevocations }

  /// Leaves out all that are over.
  func sweep(at now: Int64) throws(Status) {
    var issuer = firstIssuer
    while let known = issuer {
      if known.revocations?.overdue(at: now) ?? 0 > 0 { try known.sweep(at: now) }
      issuer = self.issuer(after: known)
    }
  }

  /// Each issuer in turn, in no lock, held while it is looked at.
  @inline(never)
  func next(_ walk: inout IssuerWalk) -> Issuer? {
    let last = walk.issuer
    // One that was removed meanwhile no longer knows what follows; it is a matter of the next walk.
    walk.issuer = ControlLock.with {
      var next = last.flatMap { firstHeld($0.isRemoved ? nil : $0.next) }
      while next == nil, walk.chains > 0 {
        next = firstHeld(heads.item(at: walk.chain & (heads.count &- 1)) ?? nil)
        walk.chain &+= 1
        walk.chains &-= 1
      }
      return next
    }
    last?.release()
    return walk.issuer
  }

  /// Issuers that are going are passed over: nobody holds them any more, but they are not yet forgotten.
  private func firstHeld(_ start: Issuer?) -> Issuer? {
    var issuer = start
    while let known = issuer, !known.retainIfHeld() { issuer = known.next }
    return issuer
  }

  private var heads: Items<Issuer?> { unsafe record.pointee.heads }

  /// By the name under which others know it, where there are others.
  private func chain(_ issuer: Issuer) -> Int {
    issuer.shelf.map { chain($0.digest) } ?? chain(issuer.name)
  }

  private func chain(_ digest: IssuerDigest) -> Int {
    var octets = InlineArray<32, UInt8>(repeating: 0)
    return octets.withRoom { room in
      digest.write(into: room, at: 0)
      return chain(room.bytes(SHA256.length))
    }
  }

  @inline(never)
  private func chain(_ name: Bytes) -> Int {
    Int(truncatingIfNeeded: unsafe SipHash.hash13(name, key: record.pointee.key)) & (CacheRecord.chains &- 1)
  }
}

/// Over some of the chains of a cache's issuers, all unless fewer are asked for; to be gone to its end.
struct IssuerWalk {
  fileprivate(set) var chain = 0
  fileprivate var chains = CacheRecord.chains
  fileprivate var issuer: Issuer?

  init() {}

  init(from chain: Int, chains: Int) {
    self.chain = chain
    self.chains = chains
  }
}

@safe struct CacheRecord: ~Copyable {
  /// Short enough for a small host, and chains of a few issuers for a large one.
  static var chains: Int { 1_024 }
  static var size: Int { (MemoryLayout<CacheRecord>.size &+ 63) & ~63 }

  /// First, since ThreadSanitizer notes a change of any field at the record's first octets.
  var issuerCount = 0
  /// Handles, issuers and policies; all of them together are one of the users of the memory.
  let holders = Holders()
  /// Of the host's.
  let handles = Holders()
  let users = Holders()
  let id = Serial.next()
  let clock: WallClock
  let key: HashKey
  var store: StoreDirectory?
  var tableMaking = TableMaking.started
  let maximumIssuers: Int
  let maximumRevocations: Int
  /// Chains of the issuers, by a hash of their names; under the control lock, like the count.
  let heads: Items<Issuer?>
  /// Behind the chains.
  let engine: UnsafeMutablePointer<Engine>
  let tokens: TokenCache?
  /// Over all issuers.
  var revocationCount = 0

  init(
    clock: WallClock, key: HashKey, maximumIssuers: Int, maximumRevocations: Int, heads: Items<Issuer?>,
    engine: UnsafeMutablePointer<Engine>, tokens: TokenCache?
  ) {
    self.tokens = tokens
    unsafe self.engine = unsafe engine
    self.clock = clock
    self.key = key
    self.maximumIssuers = maximumIssuers
    self.maximumRevocations = maximumRevocations
    self.heads = heads
  }
}
