/// One issuer: its name, the terms for its keys, and the snapshot of keys and revocations that counts now.
///
/// The handle is a borrowed pointer; `retain` and `release` say who holds it. An issuer holds its cache; the
/// cache only knows it, and forgets it with the last holder.
@safe struct Issuer: Equatable {
  private let record: UnsafeMutablePointer<IssuerRecord>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: IssuerRecord.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  /// Takes over the acceptance and `source` unless it fails.
  static func make(_ options: IssuerOptions, _ source: Source, cache: Cache) throws(Status) -> Issuer {
    let shelf = try cache.store == nil ? nil : Shelf(options.name)
    var arena = Arena.dry
    _ = (arena.items(Ledger.count, of: UInt64.self), arena.copy(options.name))
    let memory = try unsafe Memory.allocate(IssuerRecord.size &+ arena.used)
    arena = unsafe Arena(memory + IssuerRecord.size, capacity: arena.used)
    let ledger = Ledger(arena.items(Ledger.count, of: UInt64.self))
    source.ledger = ledger
    let name = arena.copy(options.name)
    let teller = cache.teller(Serial.next(), name)
    source.teller = teller
    unsafe memory.assumingMemoryBound(to: IssuerRecord.self).initialize(
      to: IssuerRecord(options, source, name: name, cache: cache, ledger, teller))
    unsafe memory.assumingMemoryBound(to: IssuerRecord.self).pointee.shelf = shelf
    cache.retain()
    return unsafe Issuer(memory)
  }

  var name: Bytes { unsafe record.pointee.name }
  /// Unlike any other's that this process ever had.
  var id: UInt64 { teller.issuer }
  var cache: Cache { unsafe record.pointee.cache }
  /// Under the control lock, since an update replaces them.
  var maximumDocument: Int { terms.maximumDocument }
  var rules: KeyRules { terms.rules }
  private var terms: Acceptance.Terms { unsafe record.pointee.acceptance.terms }
  var source: Source { unsafe UnsafePointer(record).pointee.source }

  /// Its place in the store, if there is one; under the control lock, but for the name.
  var shelf: Shelf? {
    get { unsafe record.pointee.shelf }
    nonmutating set { unsafe record.pointee.shelf = newValue }
  }
  /// What siblings have counted, if there is a store; under the control lock.
  var sums: UnsafeMutablePointer<Sums> {
    unsafe withUnsafeMutablePointer(to: &record.pointee.sums) { unsafe $0 }
  }
  var storeName: StoreName? { unsafe record.pointee.shelf?.name }

  /// In the cache's chain; read and written under the control lock.
  var next: Issuer? {
    get { unsafe record.pointee.next }
    nonmutating set { unsafe record.pointee.next = newValue }
  }

  static func == (left: Issuer, right: Issuer) -> Bool { unsafe left.record == right.record }

  func retain() { unsafe record.pointee.holders.retain() }
  func retainIfHeld() -> Bool { unsafe record.pointee.holders.retainIfHeld() }

  /// Not inlined, like whatever else in here each control call comes to.
  @inline(never)
  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    let cache = cache
    cache.sumUpLast(self)
    ControlLock.with {
      cache.forget(self)
      exchange(for: nil, .small)
      cache.unseat(self, source)
      Readers.forget(owner: id)
    }
    cache.tell()
    source.destroy()
    unsafe record.pointee.acceptance.destroy()
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
    cache.release()
  }

  // MARK: - Its keys

  /// What counts now; until the reader, which has entered, leaves.
  func snapshot(_ reader: borrowing Reader) -> Snapshot? {
    unsafe record.pointee.trusted.load(reader).map { unsafe Snapshot($0) }
  }

  /// The same unless it is too old, or what is revoked is not known. The time is asked for first: whoever finds the
  /// later one finds the later keys.
  func trusted(_ reader: borrowing Reader, at now: Int64) throws(Status) -> Snapshot? {
    if !source.isServed(cache.steadyNow, at: now) { try missedAll(at: now) }
    source.name()
    let snapshot = snapshot(reader)
    guard snapshot?.revocations?.areUnknown != true else { throw .keysUnavailable }
    return snapshot
  }

  /// The same, or nil: for a token that is refused elsewhere then.
  @inline(__always)
  func served(_ reader: borrowing Reader, at now: Int64) -> Snapshot? {
    guard source.isServed(cache.steadyNow, at: now) else { return nil }
    source.name()
    guard let snapshot = snapshot(reader), snapshot.revocations?.areUnknown != true else { return nil }
    return snapshot
  }

  /// Keys that have come meanwhile serve: it is because of them that nobody is to ask.
  @inline(never)
  private func missedAll(at now: Int64) throws(Status) {
    let refusal = cache.mayFetch ? source.missedAll() : .keysUnavailable
    guard refusal == .keysUnavailable, source.isServed(cache.steadyNow, at: now) else { throw refusal }
  }

  /// What becomes of a token whose kid no key has; nil where nobody can be asked for it.
  func missed(_ kid: Bytes) -> Missed? {
    guard cache.mayFetch else { return nil }
    return source.missed(kid, now: cache.steadyNow)
  }

  /// Whether a token with a bad signature under a known kid waits for other keys.
  func isRekeying() -> Bool {
    guard cache.mayFetch else { return false }
    return source.isRekeying(now: cache.steadyNow)
  }

  /// Reads the document off to the side, then puts its keys in place of those before in one exchange. All under the
  /// control lock: loads keep their order, and no fork leaves a child with a lock of libcrypto's that reading takes.
  func load(_ document: Bytes) throws(Fault) {
    let digest = try digest(of: document)
    // Without a clock there is no grace.
    let (now, steady, wall) = (cache.time, cache.steadyNow, cache.clock.now)
    try ControlLock.with { () throws(Fault) in
      guard document.count <= maximumDocument else {
        throw Fault(.invalidDocument, "The document is larger than max_document.", option: "json")
      }
      unsafe cache.engine.pointee.wall = wall
      let set = try read(document)
      try set.refuseEmpty(rules)
      adopt(try candidate(set, now: steady), now: now)
      cache.pushed(self, source, digest: digest, now: now)
    }
    cache.tell()
  }

  /// Under the control lock: its keys, if it is signed where it must be.
  @inline(never)
  func read(_ document: Bytes, by other: Acceptance.Terms? = nil) throws(Fault) -> JWKSet {
    let terms = other ?? terms
    guard let signers = terms.signers else {
      return try JWKSet.readEvenEmpty(document, rules: terms.rules)
    }
    return try unsafe SignedKeySet.read(
      document, of: name, by: signers, terms.rules, now: cache.engine.pointee.wall)
  }

  /// Under the control lock: what its file holds, if it has one. The very document that is in force counts anew.
  func put(_ file: borrowing SourceFile, now: Int64) throws(Fault) {
    let isOver = unsafe SignedKeySet.isOver(notes, now: cache.engine.pointee.wall)
    let isKnown = source.isAccepted(file.digest) && !isOver
    putInForce(try isKnown ? nil : candidate(file, now: now), file, now)
  }

  func candidate(
    _ file: borrowing SourceFile, by other: Acceptance.Terms? = nil, now: Int64
  ) throws(Fault) -> Snapshot? {
    let terms = other ?? terms
    guard file.mark != nil else { return nil }
    let set = try read(file.document, by: terms)
    try set.refuseEmpty(terms.rules)
    return try candidate(set, now: now)
  }

  func putInForce(_ candidate: Snapshot?, _ file: borrowing SourceFile, _ now: Int64) {
    guard let mark = file.mark else { return }
    if let candidate { adopt(candidate, now: now) }
    source.hasRead(mark, now: now)
    cache.pushed(self, source, digest: file.digest, now: now)
  }

  /// By which a document is known again, in every process.
  func digest(of document: Bytes) throws(Fault) -> UInt64 {
    try Fault.of { () throws(Status) in try SHA256.word(of: document) }
  }

  /// Has the keys fetched by the next poll.
  func refresh() throws(Status) {
    guard !cache.isForked else { throw .forked }
    guard cache.mayFetch else { throw .noFetcher }
    let now = cache.time
    try ControlLock.with { () throws(Status) in
      guard source.isFetched else { throw .noFetcher }
      guard !isRemoved else { throw .removed }
      try cache.refresh(self, source, now: now)
    }
  }

  /// Takes keys and revocations away for good. False if that was done before.
  func remove() -> Bool {
    let now = cache.steadyNow
    let isFirst = ControlLock.with {
      guard unsafe !record.pointee.removed else { return false }
      unsafe record.pointee.removed = true
      cache.forget(self)
      exchange(for: nil, .small)
      cache.unseat(self, source)
      teller.tell(Event(.issuerRemoved), at: now)
      return true
    }
    cache.tell()
    return isFirst
  }

  /// Puts other options in place of its own, and takes over what it is given. Its keys stay as far as the new rules
  /// admit them; nothing of it happens if it fails. `open` as in the cache's `start`.
  func update(
    _ options: IssuerOptions, _ terms: SourceTerms, _ open: () throws(Fault) -> FetchHook
  ) throws(Fault) {
    let now = cache.time
    let wall = cache.clock.now
    do throws(Fault) {
      guard options.name == name else {
        throw Fault(.invalidOption, "It is another issuer's name; an issuer keeps its own.", option: "issuer")
      }
      if terms.kind != .pinned { try cache.openIfStarted(open) }
      let file = try SourceFile(terms.file, atMost: options.acceptance.terms.maximumDocument)
      try ControlLock.with { () throws(Fault) in
        unsafe cache.engine.pointee.wall = wall
        try replace(options.acceptance, terms, file, now)
      }
    } catch {
      terms.destroy()
      options.acceptance.destroy()
      throw error
    }
    cache.tell()
  }

  private func replace(
    _ new: Acceptance, _ terms: SourceTerms, _ file: borrowing SourceFile, _ now: Int64
  ) throws(Fault) {
    guard !isRemoved else { throw .removed }
    let isRuledAnew = !new.terms.rules.areSame(as: rules)
    // No grace outlives the rules under which it began.
    let candidate = try candidate(file, by: new.terms, now: isRuledAnew ? .max : now)
    let isEmptied = isRuledAnew && candidate == nil ? try admit(new.terms.rules, now) : false
    // A set that is in force must be signed anew, too, before it is confirmed.
    let isSigned = new.terms.signers != nil || self.terms.signers != nil
    unsafe record.pointee.acceptance.destroy()
    unsafe record.pointee.acceptance = new
    cache.update(
      self, source, terms, isRuledAnew: isRuledAnew || isSigned, isEmptied: isEmptied, now: now)
    putInForce(candidate, file, now)
  }

  /// Takes out the keys that these rules do not admit; tells whether none is left.
  private func admit(_ new: KeyRules, _ now: Int64) throws(Fault) -> Bool {
    guard let keys = current?.keys else { return false }
    let set = try Fault.of { () throws(Status) in try keys.narrowed(from: rules, to: new) }
    let isEmptied = !set.hasUsableKey
    adopt(try candidate(set, now: .max), now: now)
    return isEmptied
  }

  func keyList() throws(Status) -> KeyList {
    cache.gather(self)
    let (now, steady) = (cache.clock.now, cache.steadyNow)
    return try ControlLock.with { () throws(Status) in
      let confirmed = report(now: steady, wall: now).sinceSuccess.map { now &- $0 / 1_000 } ?? 0
      return try KeyList.make(of: current, now: now, steady: steady, confirmed: confirmed) { told($0) }
    }
  }

  @inline(never)
  private func told(_ key: Key) -> (Uses, Bool) {
    let uses = uses(of: key)
    return (uses, isGapless(uses, isOwn: !cache.isSummed))
  }

  /// Under the control lock: what would be published with these keys. It is adopted or destroyed at once.
  @inline(never)
  func candidate(_ set: consuming JWKSet, now: Int64) throws(Fault) -> Snapshot {
    guard unsafe !record.pointee.removed else { throw .removed }
    guard Epoch.mayPublish() else {
      throw Fault(.busy, "A stalled thread holds back too many retired key sets; try again later.")
    }
    guard set.notes.sequence ?? .max >= notes.sequence ?? .min else {
      throw Fault(.invalidDocument, "The bundle's spiffe_sequence is lower than that of the one in force.")
    }
    do throws(Status) {
      let leaving = Leaving(now: now, grace: terms.grace, rules: rules)
      let keys = try KeySet.make(of: set, replacing: current?.keys, leaving)
      defer { keys.release() }
      return try Snapshot.make(keys: keys, revocations: current?.revocations)
    } catch { throw Fault(error) }
  }

  /// Of the set in force; under the control lock.
  var notes: JWKSet.Notes { current?.keys?.notes ?? JWKSet.Notes() }

  /// `isShared` if a sibling has brought it, who has counted what it changes.
  func adopt(_ candidate: Snapshot, now: Int64, isShared: Bool = false) {
    if let keys = candidate.keys {
      noteSwap(to: keys, now: now, wall: unsafe cache.engine.pointee.wall, isShared ? .none : ledger)
    }
    exchange(for: candidate, .keySet)
  }

  /// Under the control lock.
  var waiters: WaiterList {
    get { unsafe record.pointee.waiters }
    nonmutating set { unsafe record.pointee.waiters = newValue }
  }

  var keys: KeySet? { current?.keys }
  var teller: Teller { unsafe record.pointee.teller }
  var troubles: Troubles { unsafe record.pointee.troubles }

  /// Under the control lock.
  @inline(never)
  func note(_ trouble: StoreTrouble, _ fault: StoreFault?, at now: Int64) {
    unsafe record.pointee.troubles.note(trouble, fault, at: now, teller)
  }
  var ledger: Ledger { unsafe record.pointee.ledger }

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

  /// Throws unless it is revoked.
  func knows(_ name: RevocationName, at now: Int64) throws(Status) {
    guard !isRemoved else { throw .removed }
    guard let known = revocations?.find(name), !known.isOver(at: now) else { throw .notFound }
  }

  /// What the file has now.
  func saved(_ all: Revocations, _ sequence: UInt64) {
    all.visit { $0.setDurable() }
    revocationFile.sequence = max(revocationFile.sequence, sequence)
  }

  /// Whether this is the file as it was last read, and no other could have its mark.
  func hasRead(_ mark: FileMark?) -> Bool {
    guard let mark, revocationFile.mark == mark, !mark.isFresh else { return false }
    return revocations?.areUnknown != true
  }

  /// The content of the file, if it is later than what is known; nil where there is none. Either way it has been read.
  func takeOver(_ file: RevocationFile?) throws(Status) {
    if let file, file.sequence > revocationFile.sequence {
      try publish(try Revocations.merged(file, revocations))
      revocationFile.sequence = file.sequence
    } else if let revocations, revocations.areUnknown {
      try publish(try Revocations.told(revocations, areUnknown: false))
    }
  }

  /// Closes the issuer until its file has been read: some of what is revoked may be missing here.
  func distrust() throws(Status) {
    guard revocations?.areUnknown != true else { return }
    try publish(try Revocations.told(revocations, areUnknown: true))
  }

  /// What this process knows of the file of its revocations.
  var revocationFile: KnownFile {
    get { unsafe record.pointee.revocationFile }
    nonmutating set { unsafe record.pointee.revocationFile = newValue }
  }

  /// Leaves out the revocations that are over.
  func sweep(at now: Int64) throws(Status) {
    guard let revocations else { return }
    try publish(try revocations.swept(at: now))
  }

  /// With the same keys. Never waits for readers: what it retires is small.
  @inline(never)
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
  @inline(never)
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
  let acceptance: Acceptance
}

struct IssuerRecord: ~Copyable {
  static var size: Int { (MemoryLayout<IssuerRecord>.size &+ 63) & ~63 }

  /// First: see `Engine`.
  var troubles = Troubles()
  let holders = Holders()
  let teller: Teller
  let name: Bytes
  var acceptance: Acceptance
  let cache: Cache
  let source: Source
  var shelf: Shelf?
  var sums = Sums()
  let trusted = Published()
  let ledger: Ledger
  var waiters = WaiterList()
  var removed = false
  var revocationFile = KnownFile()
  #if KEYTURN_MUTANT_REVOKE_LATE
    // A revocation in force by the next change only: what the revocation suite must catch.
    var late: Snapshot?

    mutating func delay(_ new: Snapshot?, _ kind: Retirement) -> Snapshot? {
      defer { late = kind == .small ? new : nil }
      return kind == .small ? late : new
    }
  #endif
  var next: Issuer?

  init(
    _ options: IssuerOptions, _ source: Source, name: Bytes, cache: Cache, _ ledger: Ledger, _ teller: Teller
  ) {
    self.teller = teller
    self.ledger = ledger
    self.source = source
    self.name = name
    acceptance = options.acceptance
    self.cache = cache
  }
}

/// What a process knows of the file of an issuer's revocations.
struct KnownFile {
  /// Of the latest content that was read or written.
  var sequence: UInt64 = 0
  /// Of the file as it was last read.
  var mark: FileMark?
}
