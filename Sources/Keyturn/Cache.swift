/// The issuers of a host, the clock they are judged by, and nothing shared between them.
///
/// The handle is a borrowed pointer; `retain` and `release` say who holds it.
@safe struct Cache: Equatable {
  private let record: UnsafeMutablePointer<CacheRecord>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: CacheRecord.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  static func make(clock: WallClock, maximumIssuers: Int) throws(Status) -> Cache {
    try Readers.start()
    let key = try HashKey.process
    let chains = MemoryLayout<Issuer?>.stride &* CacheRecord.chains
    let memory = try unsafe Memory.allocate(CacheRecord.size &+ chains)
    let heads = unsafe (memory + CacheRecord.size).assumingMemoryBound(to: Issuer?.self)
    unsafe heads.initialize(repeating: nil, count: CacheRecord.chains)
    unsafe memory.assumingMemoryBound(to: CacheRecord.self).initialize(
      to: CacheRecord(
        clock: clock, key: key, maximumIssuers: maximumIssuers, heads: Items(heads, count: CacheRecord.chains)
      ))
    return unsafe Cache(memory)
  }

  var clock: WallClock { unsafe UnsafePointer(record).pointee.clock }

  static func == (left: Cache, right: Cache) -> Bool { unsafe left.record == right.record }

  func retain() { unsafe record.pointee.holders.retain() }

  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }

  // MARK: - Its issuers

  func add(_ options: IssuerOptions) throws(Fault) -> Issuer {
    let issuer: Issuer
    do throws(Status) { issuer = try Issuer.make(options, cache: self) } catch { throw .noMemory }
    do throws(Fault) {
      try ControlLock.with { () throws(Fault) in try enrol(issuer) }
    } catch {
      issuer.release()
      throw error
    }
    return issuer
  }

  /// Under the control lock. Nothing happens for an issuer that is not known.
  func forget(_ issuer: Issuer) {
    let chain = chain(issuer.name)
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

  private func enrol(_ issuer: Issuer) throws(Fault) {
    guard !knows(issuer.name) else {
      throw Fault(.invalidOption, "The cache has an issuer of this name already.", option: "issuer")
    }
    guard unsafe record.pointee.issuerCount < record.pointee.maximumIssuers else {
      throw Fault(
        .invalidOption, "The cache holds as many issuers as its max_issuers allows.", option: "issuer")
    }
    let chain = chain(issuer.name)
    issuer.next = heads.item(at: chain) ?? nil
    heads.set(issuer, at: chain)
    unsafe record.pointee.issuerCount &+= 1
  }

  private func knows(_ name: Bytes) -> Bool {
    var issuer = heads.item(at: chain(name)) ?? nil
    while let known = issuer {
      if known.name == name { return true }
      issuer = known.next
    }
    return false
  }

  private var heads: Items<Issuer?> { unsafe record.pointee.heads }

  private func chain(_ name: Bytes) -> Int {
    Int(truncatingIfNeeded: unsafe SipHash.hash13(name, key: record.pointee.key)) & (CacheRecord.chains &- 1)
  }
}

struct CacheRecord: ~Copyable {
  /// Short enough for a small host, and chains of a few issuers for a large one.
  static var chains: Int { 1_024 }
  static var size: Int { (MemoryLayout<CacheRecord>.size &+ 63) & ~63 }

  let holders = Holders()
  let clock: WallClock
  let key: HashKey
  let maximumIssuers: Int
  /// Chains of the issuers, by a hash of their names; under the control lock, like the count.
  let heads: Items<Issuer?>
  var issuerCount = 0

  init(clock: WallClock, key: HashKey, maximumIssuers: Int, heads: Items<Issuer?>) {
    self.clock = clock
    self.key = key
    self.maximumIssuers = maximumIssuers
    self.heads = heads
  }
}
