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

  /// Whether the outermost entry fenced.
  @inline(__always)
  var hasFenced: Bool { shown.isFenced }

  @inline(__always)
  private var shown: Moment { unsafe Moment(word: record.shared.pointee.slot.load(ordering: .relaxed)) }

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

/// A reader's memory, never released: 64 octets that the writer looks at, then 64 of its thread alone.
@safe private struct Record {
  @safe struct Shared: ~Copyable {
    let slot: Atomic<UInt64>
    /// The record added before this one; constant once this one is in the list.
    let next: UnsafeMutableRawPointer?
  }

  @safe struct Own {
    var depth = 0
    var scratchSize = 0
    var scratch: UnsafeMutableRawPointer?
  }

  static var size: Int { 128 }

  let base: UnsafeMutableRawPointer

  @unsafe @inline(__always)
  init(_ base: UnsafeMutableRawPointer) { unsafe self.base = base }

  /// Zeroed memory that becomes a record shown as just outside.
  @unsafe
  init(_ base: UnsafeMutableRawPointer, showing moment: Moment, before next: UnsafeMutableRawPointer?) {
    unsafe self.base = base
    unsafe base.initializeMemory(as: Shared.self, to: Shared(slot: Atomic(moment.word), next: next))
  }

  @inline(__always)
  var shared: UnsafePointer<Shared> { unsafe UnsafePointer(base.assumingMemoryBound(to: Shared.self)) }

  @inline(__always)
  var own: UnsafeMutablePointer<Own> { unsafe (base + 64).assumingMemoryBound(to: Own.self) }

  @unsafe func allocateScratch(_ count: Int) throws(Status) -> UnsafeMutableRawPointer {
    releaseBelongings()
    let memory = unsafe try Memory.allocate(count)
    unsafe own.pointee.scratchSize = count
    unsafe own.pointee.scratch = memory
    return unsafe memory
  }

  /// What the thread kept. Each pointer is cleared before its memory goes, so that a child forked in between
  /// finds no pointer to released memory.
  func releaseBelongings() {
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
    unsafe record.shared.pointee.slot.store(Moment.free.word, ordering: .releasing)
  }

  /// In the child of a fork, alone: the other readers' threads are not there, so their records are free.
  /// What they kept may be half-written only where nobody looks, and goes when the record is taken again.
  private static func forked() {
    let mine = known
    forEach { record in
      guard unsafe record.base != mine?.base else { return }
      unsafe record.own.pointee.depth = 0
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
