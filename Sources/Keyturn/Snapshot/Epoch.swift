// Reclamation by epochs: a reader writes the epoch into its slot, loads a pointer, uses what it points
// to, and clears the slot. The writer exchanges the pointer, raises the epoch, has every reader's slot
// made visible, and frees what no slot can still hold.
//
// A reader's slot store may be late: it waits in the processor's store buffer while the pointer is
// loaded. `membarrier`, called by the writer, drains all these buffers, so that readers need no fence.
// Where the kernel or a filter refuses it, at the start or later, readers fence for themselves.
// docs/concurrency.md argues that the invariants I1 to I9, named where they are kept, make this sound;
// Tests/Model checks the protocol.
internal import CKeyturn
internal import Synchronization

/// A moment of the clock, and what a reader's slot shows.
///
/// The lowest bit tells whether readers fence (the clock) or this one did at its last entry (a slot); the
/// others are the epoch, from 1, where 0 means outside.
struct Moment {
  let word: UInt64

  static var fenceBit: UInt64 { 1 }
  static var nextEpoch: UInt64 { 2 }
  /// A record without a thread. It holds nothing back: it counts as fenced and as younger than all else.
  static var free: Moment { Moment(word: .max) }

  var isFenced: Bool { word & Moment.fenceBit != 0 }
  var epoch: UInt64 { word &>> 1 }
  /// Outside, with the same fence bit.
  var outside: Moment { Moment(word: word & Moment.fenceBit) }
}

/// The one clock of the process.
enum Clock {
  @inline(__always)
  private static var word: UnsafePointer<Atomic<UInt64>> {
    unsafe UnsafePointer(ckeyturn_domain_clock().assumingMemoryBound(to: Atomic<UInt64>.self))
  }

  @inline(__always)
  static var now: Moment { unsafe Moment(word: word.pointee.load(ordering: .acquiring)) }

  /// The new epoch.
  static func advance() -> UInt64 {
    let next = unsafe word.pointee.wrappingAdd(Moment.nextEpoch, ordering: .sequentiallyConsistent).newValue
    return Moment(word: next).epoch
  }

  /// I6: the fence bit is set once and never cleared, children of fork() included.
  static func startFencing() {
    _ = unsafe word.pointee.bitwiseOr(Moment.fenceBit, ordering: .sequentiallyConsistent)
  }
}

/// The first 32 octets of everything that is published and retired; the domain's, not the owner's.
@safe struct RetireLink {
  fileprivate var next: UnsafeMutableRawPointer?
  fileprivate var destroy: (@convention(c) (UnsafeMutableRawPointer) -> Void)?
  fileprivate var epoch: UInt64
  fileprivate var counts: Bool
  fileprivate var publishedFenced: Bool

  static var size: Int { 32 }

  @unsafe fileprivate static func of(_ memory: UnsafeMutableRawPointer) -> UnsafeMutablePointer<RetireLink> {
    unsafe memory.assumingMemoryBound(to: RetireLink.self)
  }
}

/// What is retired: how much of it may there be?
enum Retirement {
  /// At most `Epoch.mostKeySets`; the caller has asked `mayPublish`.
  case keySet
  /// Must not wait, and is small: a revocation, a removal.
  case small
}

/// A pointer that readers load and the holder of the control lock exchanges. Lives in raw memory that
/// outlasts its readers; zeroed memory is one that points nowhere.
@safe struct Published: ~Copyable {
  private let pointer = unsafe Atomic<UnsafeMutableRawPointer?>(nil)

  /// What is current, to be used until the reader leaves.
  ///
  /// I7: what was published while readers fence is used only by a reader that has fenced since it
  /// entered. Who entered before the switch finds the clock switched here, since the pointer it has
  /// loaded was stored after that; it fences, and loads again.
  @unsafe @inline(__always)
  func load(_ reader: borrowing Reader) -> UnsafeMutableRawPointer? {
    let found = unsafe pointer.load(ordering: .acquiring)
    guard Clock.now.isFenced, !reader.hasFenced else { return unsafe found }
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return unsafe pointer.load(ordering: .acquiring)
  }

  /// The same under the control lock, where nothing is retired meanwhile.
  @unsafe var current: UnsafeMutableRawPointer? { unsafe pointer.load(ordering: .acquiring) }

  /// Puts `memory`, complete and never changed again but for its link, in place of what is returned,
  /// which no new reader finds and the caller then retires. Under the control lock.
  @unsafe func exchange(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let memory = unsafe memory {
      unsafe RetireLink.of(memory).pointee.publishedFenced = Clock.now.isFenced
    }
    return unsafe pointer.exchange(memory, ordering: .sequentiallyConsistent)
  }
}

/// The writer's side. Everything here is called under the control lock.
enum Epoch {
  /// How many key sets stalled readers may hold back before the next one has to wait.
  static var mostKeySets: Int { 64 }

  /// Whether a key set may be exchanged: if not, the answer is `busy`.
  static func mayPublish() -> Bool {
    if Retired.keySets >= mostKeySets { reclaim() }
    return Retired.keySets < mostKeySets
  }

  /// Takes what `Published.exchange` gave back: `destroy` is called for it, under the control lock, when
  /// the last reader that may use it has left. Needs no memory, so it cannot fail.
  @unsafe static func retire(
    _ memory: UnsafeMutableRawPointer, _ kind: Retirement,
    destroy: @convention(c) (UnsafeMutableRawPointer) -> Void
  ) {
    let link = unsafe RetireLink.of(memory)
    unsafe link.pointee.destroy = destroy
    unsafe link.pointee.counts = kind == .keySet
    // I2: the epoch moves after the pointer. Who reads this epoch or a later one from the clock loads
    // the pointer's new value, so only smaller epochs can hold the old one.
    unsafe link.pointee.epoch = Clock.advance()
    #if KEYTURN_MUTANT_FREE_AT_ONCE  // what the torture run must catch
      unsafe destroy(memory)
    #else
      unsafe Retired.waiting.append(memory)
      if kind == .keySet { Retired.keySets &+= 1 }
    #endif
  }

  /// Destroys what no reader can hold any more.
  static func reclaim() {
    makeSlotsVisible()
    let seen = Readers.scan()
    if !seen.unfenced { destroyQuarantine() }
    while let memory = unsafe Retired.waiting.first {
      let link = unsafe RetireLink.of(memory)
      // I4: what is destroyed was retired at or before the oldest epoch shown by any slot.
      guard unsafe link.pointee.epoch <= seen.oldest else { return }
      Retired.waiting.removeFirst()
      if unsafe link.pointee.counts { Retired.keySets &-= 1 }
      // I8: a reader that has not been seen fencing may have entered before the switch without being
      // visible yet. By I7 it holds only what was published before, which is kept until it is seen.
      if unsafe seen.unfenced && Clock.now.isFenced && !link.pointee.publishedFenced {
        unsafe Retired.quarantine.append(memory)
      } else {
        unsafe destroy(memory)
      }
    }
  }

  /// I3: between an exchange and the scan that judges what it returned, each reader's slot store and
  /// pointer load have a full barrier between them, or both come after the exchange.
  private static func makeSlotsVisible() {
    guard Clock.now.isFenced || ckeyturn_membarrier() != 0 else { return }
    Clock.startFencing()
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  private static func destroyQuarantine() {
    while let memory = unsafe Retired.quarantine.first {
      Retired.quarantine.removeFirst()
      unsafe destroy(memory)
    }
  }

  @unsafe private static func destroy(_ memory: UnsafeMutableRawPointer) {
    unsafe RetireLink.of(memory).pointee.destroy?(memory)
  }
}

/// What waits for readers to leave, in static memory behind the control lock.
@safe private struct Retired {
  /// Oldest first; linked through their `RetireLink`s.
  @safe struct Queue {
    private(set) var first: UnsafeMutableRawPointer?
    private var last: UnsafeMutableRawPointer?

    @unsafe mutating func append(_ memory: UnsafeMutableRawPointer) {
      unsafe RetireLink.of(memory).pointee.next = nil
      if let last = unsafe last {
        unsafe RetireLink.of(last).pointee.next = memory
      } else {
        unsafe first = memory
      }
      unsafe last = memory
    }

    mutating func removeFirst() {
      guard let memory = unsafe first else { return }
      unsafe first = RetireLink.of(memory).pointee.next
      if unsafe first == nil { unsafe last = nil }
    }
  }

  private var waiting = Queue()
  private var quarantine = Queue()
  private var keySets = 0

  private static var state: UnsafeMutablePointer<Retired> {
    unsafe ckeyturn_domain_retired().assumingMemoryBound(to: Retired.self)
  }

  static var waiting: Queue {
    get { unsafe state.pointee.waiting }
    set { unsafe state.pointee.waiting = newValue }
  }

  static var quarantine: Queue {
    get { unsafe state.pointee.quarantine }
    set { unsafe state.pointee.quarantine = newValue }
  }

  static var keySets: Int {
    get { unsafe state.pointee.keySets }
    set { unsafe state.pointee.keySets = newValue }
  }
}
