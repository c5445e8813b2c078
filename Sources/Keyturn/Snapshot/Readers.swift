// The readers of the process: a list of records that only grows, with one for each thread that verifies at
// the same time. A thread's first verification takes a free record or adds one; its end frees the record.
internal import CKeyturn
internal import Synchronization

/// A thread's entry into the domain. It is made for one call and not kept; the record behind it is the
/// thread's until the thread ends, and holds what the thread keeps between calls.
@safe struct Reader: ~Copyable {
  private let record: Record
  /// A thread in its last destructors has no record of its own any more, and gives this one back.
  private let borrowed: Bool

  /// This thread's reader, registered at first use. `noMemory` when it cannot be.
  @inline(__always)
  static func ofThisThread() throws(Status) -> Reader {
    guard let record = Readers.known else { return try Readers.register() }
    return Reader(record, borrowed: false)
  }

  @inline(__always)
  fileprivate init(_ record: Record, borrowed: Bool) {
    self.record = record
    self.borrowed = borrowed
  }

  deinit {
    guard borrowed else { return }
    Readers.giveBack(record)
    Libcrypto.endThread()
  }

  /// From here to `leave`, what `Published.load` returns stays. Entries nest: the outermost counts.
  ///
  /// I1: the slot shows an epoch that the clock had reached before any pointer was loaded. It is stored
  /// before the load in program order; what makes it visible before is the writer's barrier (I3), or from
  /// the switch on this fence. The acquire keeps the load behind the clock's, so that I2 holds.
  @inline(__always)
  func enter() {
    let outer = unsafe record.own.pointee.depth
    unsafe record.own.pointee.depth = outer &+ 1
    guard outer == 0 else { return }
    let now = Clock.now
    unsafe record.shared.pointee.slot.store(now.word, ordering: .releasing)
    if now.isFenced { atomicMemoryFence(ordering: .sequentiallyConsistent) }
    ckeyturn_compiler_barrier()
  }

  /// I5: the release keeps every use of what was loaded before the slot's clearing, which the writer's scan
  /// acquires. A slot that shows the fence bit therefore also tells that all entries without fence are over.
  @inline(__always)
  func leave() {
    let depth = unsafe record.own.pointee.depth &- 1
    unsafe record.own.pointee.depth = depth
    guard depth == 0 else { return }
    unsafe record.shared.pointee.slot.store(shown.outside.word, ordering: .releasing)
  }

  /// T1: from here to `endReading` nobody writes in the set of this name.
  @inline(__always)
  func beginReading(_ set: UInt) {
    unsafe record.shared.pointee.reading.store(set, ordering: .sequentiallyConsistent)
  }

  @inline(__always)
  func endReading() { unsafe record.shared.pointee.reading.store(0, ordering: .releasing) }

  /// Whether the outermost entry fenced.
  @inline(__always)
  var hasFenced: Bool { shown.isFenced }

  @inline(__always)
  private var shown: Moment { unsafe Moment(word: record.shared.pointee.slot.load(ordering: .relaxed)) }

  /// What this thread keeps of libcrypto's until it ends.
  @inline(__always)
  var contexts: KeptContexts { record.contexts }

  /// `count` octets that this thread keeps until it ends, with what was last written in them; zeroed the
  /// first time, and when it asks for more than before.
  @unsafe @inline(__always)
  func scratch(_ count: Int) throws(Status) -> UnsafeMutableRawPointer {
    let own = unsafe record.own
    guard let memory = unsafe own.pointee.scratch, unsafe own.pointee.scratchSize >= count else {
      return unsafe try record.allocateScratch(count)
    }
    return unsafe memory
  }
}

// MARK: - What a thread counts

extension Reader {
  /// That a token of this issuer, or before one is known of this cache, has had this outcome.
  func count(_ outcome: Outcome, of owner: UInt64) {
    let (tally, row) = record.row(TallyName.outcomes(owner, outcome))
    if let row { tally.add(at: row, outcome.column) } else { tally.addMissing() }
  }

  /// That a key has verified a token; within the epoch, so that who destroys the key finds the row. `expiry` is nil
  /// for what is no claims set.
  func countUse(of key: UInt64, at now: Int64, expiry: Int64?) {
    let (tally, row) = record.row(TallyName.key(key))
    guard let row else { return tally.addMissing() }
    var uses = Uses(tally, row)
    uses.add(Uses(accepted: 1, latestExpiry: max(0, expiry ?? 0), first: now, last: now))
    uses.write(tally, row)
  }
}

/// What became of a key's tokens. Times are Unix seconds; 0 is none.
struct Uses: BitwiseCopyable {
  var accepted: UInt64 = 0
  var latestExpiry: Int64 = 0
  var first: Int64 = 0
  var last: Int64 = 0

  mutating func add(_ other: Uses) {
    accepted &+= other.accepted
    latestExpiry = max(latestExpiry, other.latestExpiry)
    last = max(last, other.last)
    if first == 0 || other.first != 0 && other.first < first { first = other.first }
  }
}

extension Uses {
  fileprivate init(_ tally: Tally, _ row: Int) {
    accepted = tally.number(at: row, 0)
    latestExpiry = Int64(bitPattern: tally.number(at: row, 1))
    first = Int64(bitPattern: tally.number(at: row, 2))
    last = Int64(bitPattern: tally.number(at: row, 3))
  }

  fileprivate func write(_ tally: Tally, _ row: Int) {
    tally.set(accepted, at: row, 0)
    tally.set(UInt64(bitPattern: latestExpiry), at: row, 1)
    tally.set(UInt64(bitPattern: first), at: row, 2)
    tally.set(UInt64(bitPattern: last), at: row, 3)
  }
}

/// A reader's memory, never released: 64 octets that the writer looks at, then 64 of its thread, then its first tally,
/// then its contexts.
@safe private struct Record {
  @safe struct Shared: ~Copyable {
    let slot: Atomic<UInt64>
    /// The record added before this one; constant once this one is in the list.
    let next: UnsafeMutableRawPointer?
    /// The set of tokens that the thread is reading in; 0 for none.
    let reading = Atomic<UInt>(0)
  }

  @safe struct Own {
    var depth = 0
    var scratchSize = 0
    var scratch: UnsafeMutableRawPointer?
  }

  static var size: Int { contextsOffset &+ KeptContexts.size }
  private static var tallyOffset: Int { 128 }
  private static var contextsOffset: Int { tallyOffset &+ Tally.size(Tally.fewest) }

  let base: UnsafeMutableRawPointer

  @unsafe @inline(__always)
  init(_ base: UnsafeMutableRawPointer) { unsafe self.base = base }

  /// Zeroed memory that becomes a record shown as just outside.
  @unsafe
  init(_ base: UnsafeMutableRawPointer, showing moment: Moment, before next: UnsafeMutableRawPointer?) {
    unsafe self.base = base
    unsafe base.initializeMemory(as: Shared.self, to: Shared(slot: Atomic(moment.word), next: next))
    _ = unsafe Tally(base + Record.tallyOffset, rows: Tally.fewest)
    unsafe tallyPlace.pointee.store(base + Record.tallyOffset, ordering: .relaxed)
  }

  @inline(__always)
  var shared: UnsafePointer<Shared> { unsafe UnsafePointer(base.assumingMemoryBound(to: Shared.self)) }

  @inline(__always)
  var own: UnsafeMutablePointer<Own> { unsafe (base + 64).assumingMemoryBound(to: Own.self) }

  @inline(__always)
  var contexts: KeptContexts { unsafe KeptContexts(base + Record.contextsOffset) }

  // MARK: - Its tally

  private var tallyPlace: UnsafePointer<Atomic<UnsafeMutableRawPointer?>> {
    unsafe UnsafePointer((base + 96).assumingMemoryBound(to: Atomic<UnsafeMutableRawPointer?>.self))
  }

  /// The newest.
  var tally: Tally {
    let first = unsafe base + Record.tallyOffset
    return unsafe Tally(tallyPlace.pointee.load(ordering: .acquiring) ?? first)
  }

  /// For the thread that has the record: the row of that name, made where there was none; nil where there is no room.
  @inline(__always)
  func row(_ name: UInt64) -> (Tally, Int?) {
    let tally = tally
    if let row = tally.find(name) { return (tally, row) }
    return newRow(name)
  }

  @inline(never)
  private func newRow(_ name: UInt64) -> (Tally, Int?) {
    while true {
      let tally = tally
      if let row = tally.take(name) { return (tally, row) }
      guard tally.rows < Tally.most, grow(tally) else { return (tally, nil) }
    }
  }

  /// C3. A name that is taken out while it is being copied stays in the copy, unused: less than a table for each of
  /// the few times that there are.
  private func grow(_ tally: Tally) -> Bool {
    var rows = tally.rows
    while rows < Tally.most {
      rows &*= 2
      do throws(Status) {
        let memory = try unsafe Memory.allocate(Tally.size(rows))
        let larger = unsafe Tally(memory, rows: rows)
        if tally.copy(to: larger) {
          unsafe larger.replaces(UInt(bitPattern: tallyPlace.pointee.load(ordering: .relaxed)))
          unsafe tallyPlace.pointee.store(memory, ordering: .releasing)
          return true
        }
        unsafe Memory.release(memory)
      } catch { return false }
    }
    return false
  }

  @unsafe func allocateScratch(_ count: Int) throws(Status) -> UnsafeMutableRawPointer {
    releaseScratch()
    let memory = unsafe try Memory.allocate(count)
    unsafe own.pointee.scratchSize = count
    unsafe own.pointee.scratch = memory
    return unsafe memory
  }

  /// What the thread kept. Each pointer is cleared before its memory goes, so that a child forked in between
  /// finds no pointer to released memory.
  func releaseBelongings() {
    contexts.dropAll()
    releaseScratch()
  }

  private func releaseScratch() {
    guard let memory = unsafe own.pointee.scratch else { return }
    unsafe own.pointee.scratch = nil
    ckeyturn_compiler_barrier()
    unsafe Memory.wipe(memory, own.pointee.scratchSize)
    unsafe Memory.release(memory)
  }
}

/// All records.
enum Readers {
  /// What a scan of the slots has found.
  struct Seen {
    /// No reader that has fenced, or that a barrier has made visible, entered before this epoch.
    var oldest = UInt64.max
    /// Whether some reader's last entry was without fence.
    var unfenced = false
  }

  @inline(__always)
  private static var newest: UnsafePointer<Atomic<UnsafeMutableRawPointer?>> {
    unsafe UnsafePointer(
      ckeyturn_domain_records().assumingMemoryBound(to: Atomic<UnsafeMutableRawPointer?>.self))
  }

  // MARK: - Under the control lock: what all threads have counted

  @inline(never)
  static func total(of owner: UInt64, _ outcome: Outcome) -> UInt64 {
    var total: UInt64 = 0
    visit(TallyName.outcomes(owner, outcome)) { tally, row in total &+= tally.number(at: row, outcome.column)
    }
    return total
  }

  /// All outcomes of an owner, from a place on in zeroed words.
  static func add(outcomesOf owner: UInt64, to words: Items<UInt64>, from start: Int) {
    forEach { record in
      let tally = record.tally
      var word = 0
      while word < Outcome.words {
        if let row = tally.find(Outcome.row(of: owner, at: word)) {
          for column in Tally.columns.times {
            let place = start &+ word &+ column
            words.set((words.item(at: place) ?? 0) &+ tally.number(at: row, column), at: place)
          }
        }
        word &+= Tally.columns
      }
    }
  }

  @inline(never)
  static func uses(of key: UInt64) -> Uses {
    var uses = Uses()
    visit(TallyName.key(key)) { tally, row in uses.add(Uses(tally, row)) }
    return uses
  }

  /// What was counted nowhere for want of a row.
  static var missing: UInt64 {
    var missing: UInt64 = 0
    forEach { missing &+= $0.tally.missing }
    return missing
  }

  /// A key has been destroyed.
  static func forget(key: UInt64) { forEach { $0.tally.forget(TallyName.key(key)) } }

  /// An issuer, or a cache, is gone.
  static func forget(owner: UInt64) {
    forEach { record in
      let tally = record.tally
      TallyName.visitOutcomes(of: owner) { tally.forget($0) }
    }
  }

  private static func visit(_ name: UInt64, _ body: (Tally, Int) -> Void) {
    forEach { record in
      let tally = record.tally
      if let row = tally.find(name) { body(tally, row) }
    }
  }

  /// This thread's record, if it has one.
  @inline(__always)
  fileprivate static var known: Record? {
    let word = ckeyturn_reader_get()
    guard word > CKEYTURN_EXITING, let base = unsafe UnsafeMutableRawPointer(bitPattern: word) else {
      return nil
    }
    return unsafe Record(base)
  }

  /// Reads every slot; after a barrier, under the control lock.
  static func scan() -> Seen {
    var seen = Seen()
    forEach { record in
      let shown = unsafe Moment(word: record.shared.pointee.slot.load(ordering: .acquiring))
      if shown.epoch != 0 { seen.oldest = min(seen.oldest, shown.epoch) }
      if !shown.isFenced { seen.unfenced = true }
    }
    return seen
  }

  /// Whether some thread reads in that set of tokens, by whoever has just taken a tag out of it (T2). The fence is for the
  /// list: a record that this look at its head misses was added behind it, and so its thread finds no tag. That the taking
  /// out comes first would else hold only for words that are loaded in the one order, as the names are and the head is not.
  static func areReading(_ set: UInt) -> Bool {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    var found = false
    forEach {
      found = unsafe $0.shared.pointee.reading.load(ordering: .sequentiallyConsistent) == set || found
    }
    return found
  }

  /// Makes the process ready for readers: at the first control call, or the first verification.
  static func start() throws(Status) {
    guard unsafe ckeyturn_start({ unsafe Readers.threadEnded($0) }, { Readers.forked() }) == 0 else {
      throw .noMemory
    }
  }

  @inline(never)
  fileprivate static func register() throws(Status) -> Reader {
    try start()
    let record = try claim()
    guard ckeyturn_reader_get() != CKEYTURN_EXITING else { return Reader(record, borrowed: true) }
    guard unsafe ckeyturn_reader_set(record.base) == 0 else {
      giveBack(record)
      throw .noMemory
    }
    return Reader(record, borrowed: false)
  }

  /// A free record, or a new one.
  ///
  /// I9: the fence comes between taking the record and the first look at the clock. A writer whose scan
  /// still saw it free, or did not see it, had exchanged its pointer, or switched, before that look.
  private static func claim() throws(Status) -> Record {
    let record = if let found = recycle() { found } else { try add() }
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    record.releaseBelongings()  // of a thread that a fork left behind
    return record
  }

  private static func recycle() -> Record? {
    let outside = Clock.now.outside.word
    var next = unsafe newest.pointee.load(ordering: .acquiring)
    while let base = unsafe next {
      let record = unsafe Record(base)
      let (taken, _) = unsafe record.shared.pointee.slot.compareExchange(
        expected: Moment.free.word, desired: outside, ordering: .sequentiallyConsistent)
      if taken { return record }
      unsafe next = record.shared.pointee.next
    }
    return nil
  }

  private static func add() throws(Status) -> Record {
    let base = unsafe try Memory.allocate(Record.size)
    var next = unsafe newest.pointee.load(ordering: .acquiring)
    while true {
      let record = unsafe Record(base, showing: Clock.now.outside, before: next)
      let (added, other) = unsafe newest.pointee.compareExchange(
        expected: next, desired: base, ordering: .sequentiallyConsistent)
      if added { return record }
      unsafe next = other
    }
  }

  /// The thread is done with it; a thread that was ended inside a call holds nothing back from here on.
  @inline(never)
  fileprivate static func giveBack(_ record: Record) {
    record.releaseBelongings()
    unsafe record.own.pointee.depth = 0
    unsafe record.shared.pointee.reading.store(0, ordering: .releasing)
    unsafe record.shared.pointee.slot.store(Moment.free.word, ordering: .releasing)
  }

  /// In the child of a fork, alone: the other readers' threads are not there, so their records are free.
  /// What they kept may be half-written only where nobody looks, and goes when the record is taken again.
  private static func forked() {
    let mine = known
    forEach { record in
      guard unsafe record.base != mine?.base else { return }
      record.contexts.abandon()
      unsafe record.own.pointee.depth = 0
      unsafe record.shared.pointee.reading.store(0, ordering: .releasing)
      unsafe record.shared.pointee.slot.store(Moment.free.word, ordering: .releasing)
    }
  }

  private static func threadEnded(_ base: UnsafeMutableRawPointer?) {
    guard let base = unsafe base else { return }
    giveBack(unsafe Record(base))
  }

  private static func forEach(_ body: (Record) -> Void) {
    var next = unsafe newest.pointee.load(ordering: .acquiring)
    while let base = unsafe next {
      let record = unsafe Record(base)
      body(record)
      unsafe next = record.shared.pointee.next
    }
  }
}
