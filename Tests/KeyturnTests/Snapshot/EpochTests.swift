// The read domain by itself. It is one for the process, so what counts its records or switches its mode
// runs in a process of its own (an exit test), and what fills it holds the control lock meanwhile.
import CKeyturn
import Glibc
import Testing

@testable import Keyturn

/// How many objects have been destroyed since the test began. Written under the control lock.
nonisolated(unsafe) private var destroyed = 0

private func object() -> UnsafeMutableRawPointer {
  guard let memory = ckeyturn_allocate(128) else { fatalError("no memory for a test") }
  return memory
}

private func retire(_ memory: UnsafeMutableRawPointer?, _ kind: Retirement = .small) {
  guard let memory else { return }
  Epoch.retire(memory, kind) { memory in
    destroyed += 1
    Memory.release(memory)
  }
}

/// A pointer that the test's threads share, never released, as an issuer's outlasts its readers.
private struct Cell: @unchecked Sendable {
  private let memory = object()

  func load(_ reader: borrowing Reader) -> UnsafeMutableRawPointer? { published.pointee.load(reader) }

  func exchange(_ new: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    published.pointee.exchange(new)
  }

  /// Publishes another object, retires the one before it, and reclaims what can be.
  func swap(_ kind: Retirement = .small) {
    ControlLock.with {
      retire(exchange(object()), kind)
      Epoch.reclaim()
    }
  }

  private var published: UnsafePointer<Published> {
    UnsafePointer(memory.assumingMemoryBound(to: Published.self))
  }
}

/// The slots of all records, as the writer sees them.
private func slots() -> [Moment] {
  var found: [Moment] = []
  var next = ckeyturn_domain_records().load(as: UnsafeMutableRawPointer?.self)
  while let record = next {
    found.append(Moment(word: record.load(as: UInt64.self)))
    next = record.load(fromByteOffset: 8, as: UnsafeMutableRawPointer?.self)
  }
  return found
}

private var freeSlots: Int { slots().count { $0.word == Moment.free.word } }

/// A thread that does as it is told, so that tests can order what happens.
private final class Helper: @unchecked Sendable {
  private var thread = pthread_t()
  private var asked = sem_t()
  private var answered = sem_t()
  private var work: (() -> Void)?

  init() {
    sem_init(&asked, 0, 0)
    sem_init(&answered, 0, 0)
    pthread_create(&thread, nil, { Helper.run($0) }, Unmanaged.passUnretained(self).toOpaque())
  }

  func `do`(_ work: @escaping () -> Void) {
    self.work = work
    sem_post(&asked)
    sem_wait(&answered)
  }

  func end() {
    work = nil
    sem_post(&asked)
    pthread_join(thread, nil)
  }

  private static func run(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let helper = Unmanaged<Helper>.fromOpaque(context!).takeUnretainedValue()
    while true {
      sem_wait(&helper.asked)
      guard let work = helper.work else { return nil }
      work()
      sem_post(&helper.answered)
    }
  }
}

private func enter() { withReader { $0.enter() } }
private func leave() { withReader { $0.leave() } }

private func withReader(_ body: (borrowing Reader) -> Void) {
  do {
    let reader = try Reader.ofThisThread()
    body(reader)
  } catch {
    fatalError("no reader: \(error)")
  }
}

private func check(_ holds: Bool, line: UInt = #line) {
  guard holds else { fatalError("line \(line)") }
}

@Suite(.serialized) struct EpochTests {
  @Test func aReaderInsideHoldsBackWhatItMayHaveLoaded() async {
    await #expect(processExitsWith: .success) {
      let cell = Cell()
      cell.swap()
      let helper = Helper()
      helper.do { enter() }
      cell.swap()
      check(destroyed == 0)
      helper.do { leave() }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 1)
      helper.do { enter() }  // entered after the exchange: holds nothing older
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 1)
      helper.do { leave() }
    }
  }

  @Test func theOldestReaderCounts() async {
    await #expect(processExitsWith: .success) {
      let cell = Cell()
      cell.swap()
      let older = Helper()
      let younger = Helper()
      older.do { enter() }
      cell.swap()
      younger.do { enter() }
      cell.swap()
      check(destroyed == 0)
      older.do { leave() }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 1)
      younger.do { leave() }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 2)
    }
  }

  @Test func anInnerLeaveKeepsTheOuterEntry() async {
    await #expect(processExitsWith: .success) {
      let cell = Cell()
      cell.swap()
      let helper = Helper()
      helper.do {
        enter()
        enter()
      }
      cell.swap()
      helper.do { leave() }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 0)
      helper.do { leave() }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 1)
    }
  }

  @Test func keySetsWaitBehindAStalledReaderAndSmallThingsDoNot() async {
    await #expect(processExitsWith: .success) {
      let cell = Cell()
      cell.swap()
      enter()
      for _ in 0..<Epoch.mostKeySets {
        check(ControlLock.with { Epoch.mayPublish() })
        cell.swap(.keySet)
      }
      check(!ControlLock.with { Epoch.mayPublish() })
      for _ in 0..<1_000 { cell.swap(.small) }
      check(destroyed == 0)
      leave()
      check(ControlLock.with { Epoch.mayPublish() })
      check(destroyed == Epoch.mostKeySets + 1_000)
    }
  }

  @Test func recordsAreRecycledAndScratchGoesWithItsThread() async {
    await #expect(processExitsWith: .success) {
      let most = 40
      for _ in 0..<10 {
        let helpers = (0..<most).map { _ in Helper() }
        for helper in helpers {
          helper.do {
            withReader { reader in
              guard let scratch = try? reader.scratch(4096) else { fatalError("no scratch") }
              check(scratch.load(as: UInt64.self) == 0)
              scratch.storeBytes(of: 0x5EC4E7, as: UInt64.self)
              guard let again = try? reader.scratch(4096) else { fatalError("no scratch") }
              check(again == scratch)
            }
            enter()
            leave()
          }
        }
        check(slots().count == most)
        for helper in helpers { helper.end() }
        check(freeSlots == most)
      }
    }
  }

  @Test func aThreadThatEndsInsideHoldsNothingBack() async {
    await #expect(processExitsWith: .success) {
      let cell = Cell()
      cell.swap()
      let helper = Helper()
      helper.do { enter() }
      cell.swap()
      check(destroyed == 0)
      helper.end()
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 1)
    }
  }

  /// Destructors run in the order of their keys, so one made after the domain's runs after the thread's
  /// record has been given back.
  @Test func laterDestructorsVerifyWithABorrowedRecord() async {
    await #expect(processExitsWith: .success) {
      struct Late { nonisolated(unsafe) static var borrowed = 0 }
      withReader { _ in }
      var key = pthread_key_t()
      pthread_key_create(&key) { _ in
        check(ckeyturn_reader_get() == CKEYTURN_EXITING)
        let before = freeSlots
        withReader { reader in
          check(freeSlots == before - 1)
          reader.enter()
          Late.borrowed += (try? reader.scratch(64)) == nil ? 0 : 1
          reader.leave()
        }
        check(freeSlots == before)
      }
      let made = key
      for _ in 0..<200 {
        let helper = Helper()
        helper.do {
          pthread_setspecific(made, UnsafeMutableRawPointer(bitPattern: 1))
          withReader { _ in }
        }
        helper.end()
      }
      check(Late.borrowed == 200)
      check(slots().count == 2)  // this thread's, and one for one helper after the other
    }
  }

  @Test func whereMembarrierIsRefusedReadersFence() async {
    await #expect(processExitsWith: .success) {
      ckeyturn_fault_membarrier(1)
      let cell = Cell()
      cell.swap()
      check(Clock.now.isFenced)
      let helper = Helper()
      helper.do { enter() }
      check(slots().contains { $0.isFenced && $0.epoch != 0 && $0.word != Moment.free.word })
      cell.swap()
      check(destroyed == 0)
      helper.do { leave() }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 1)
    }
  }

  /// The switch: what was published before it waits for every reader to be seen; what came after does not.
  @Test func atTheSwitchWhatAnUnseenReaderMayHoldIsQuarantined() async {
    await #expect(processExitsWith: .success) {
      let cell = Cell()
      cell.swap()
      let parked = Helper()
      parked.do {
        enter()
        leave()
      }
      ckeyturn_fault_membarrier(1)
      cell.swap()
      check(Clock.now.isFenced)
      for _ in 0..<200 { cell.swap(.keySet) }
      // The first was published before the switch. So was the second: its swap found membarrier refused.
      check(destroyed == 199)
      check(ControlLock.with { Epoch.mayPublish() })
      parked.do {
        enter()
        leave()
      }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 201)
    }
  }

  /// The interleaving that the quarantine is for: entered before the switch, not seen before it.
  @Test func whoEnteredBeforeTheSwitchFencesBeforeUsingWhatCameAfter() async {
    await #expect(processExitsWith: .success) {
      let cell = Cell()
      cell.swap()
      let helper = Helper()
      helper.do { enter() }
      ckeyturn_fault_membarrier(1)
      cell.swap()
      helper.do {
        withReader { reader in
          check(!reader.hasFenced)
          check(cell.load(reader) != nil)
          check(!reader.hasFenced)  // what it loaded before the switch it may still hold
        }
      }
      ckeyturn_fault_membarrier(0)
      cell.swap()
      check(Clock.now.isFenced)  // for good
      check(destroyed == 0)
      helper.do { leave() }
      helper.do { enter() }
      helper.do { leave() }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 2)
    }
  }

  @Test func aChildOfAForkIsFreeOfTheOtherThreads() async {
    await #expect(processExitsWith: .success) {
      // Swift hides fork(); a C host does not.
      typealias Fork = @convention(c) () -> pid_t
      guard let symbol = dlsym(nil, "fork") else { fatalError("no fork") }
      let fork = unsafeBitCast(symbol, to: Fork.self)
      let cell = Cell()
      cell.swap()
      let helper = Helper()
      helper.do { enter() }
      enter()
      cell.swap()
      let child = fork()
      if child == 0 {
        check(freeSlots == 1)
        ControlLock.with { Epoch.reclaim() }
        check(destroyed == 0)  // its own entry goes on
        leave()
        cell.swap()
        check(destroyed == 2)
        check(!Clock.now.isFenced)
        _exit(0)
      }
      var status: Int32 = -1
      check(waitpid(child, &status, 0) == child && status == 0)
      leave()
      check(freeSlots == 0)
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 0)
      helper.do { leave() }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 1)
    }
  }

  /// Many at once, against the writer; the stamps of what is destroyed are spoilt first.
  @Test func readersNeverSeeWhatWasDestroyed() async {
    await #expect(processExitsWith: .success) {
      let cell = Cell()
      func stamped() -> UnsafeMutableRawPointer {
        let memory = object()
        memory.storeBytes(of: 0x600D, toByteOffset: 64, as: Int.self)
        return memory
      }
      ControlLock.with { _ = cell.exchange(stamped()) }
      var threads: [pthread_t] = []
      let context = UnsafeMutablePointer<Cell>.allocate(capacity: 1)
      context.initialize(to: cell)
      for _ in 0..<4 {
        var thread = pthread_t()
        pthread_create(
          &thread, nil,
          { context in
            let cell = context!.load(as: Cell.self)
            for _ in 0..<200_000 {
              withReader { reader in
                reader.enter()
                check(cell.load(reader)!.load(fromByteOffset: 64, as: Int.self) == 0x600D)
                reader.leave()
              }
            }
            return nil
          }, context)
        threads.append(thread)
      }
      for round in 0..<2_000 {
        if round == 1_000 { ckeyturn_fault_membarrier(1) }
        ControlLock.with {
          guard let old = cell.exchange(stamped()) else { return }
          Epoch.retire(old, .keySet) { memory in
            memory.storeBytes(of: 0xBAD, toByteOffset: 64, as: Int.self)
            destroyed += 1
            Memory.release(memory)
          }
          Epoch.reclaim()
        }
      }
      for thread in threads { pthread_join(thread, nil) }
      ControlLock.with { Epoch.reclaim() }
      check(destroyed == 2_000)
    }
  }
}
