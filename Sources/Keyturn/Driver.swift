// Who does the engine's work: a host that polls; or from `start` to `stop` a thread of the cache's own, and then it
// alone calls the fetcher. In the child of a fork there is no such thread, and what it had is the parent's: calls that
// need it say so until the child has started one.
//
// Starting and stopping have a lock of their own, outside of the control lock: under it the library that fetches is
// opened, and the thread waited for, neither of which may happen where fork() and every other call would wait too.
internal import CKeyturn
internal import Synchronization

struct Driver: ~Copyable {
  /// First: see `Engine`. Under the driver's lock.
  var thread: UInt64 = 0
  /// Until everything that was begun has ended; changed under the control lock.
  let isStarted = Atomic<Bool>(false)
  let isEnding = Atomic<Bool>(false)
  var watch = ChangeWatch()

  /// The kernel's timer stands still while the machine sleeps, and ages do not.
  static var longestWait: Int64 { 10_000 }

  static func withLock(_ body: () throws(Fault) -> Void) throws(Fault) {
    ckeyturn_driver_lock()
    defer { ckeyturn_driver_unlock() }
    try body()
  }
}

extension Cache {
  var isStarted: Bool { unsafe engine.pointee.driver.isStarted.load(ordering: .acquiring) }

  @inline(never)
  var isForked: Bool { isStarted && isOfAnotherProcess }

  var isOfAnotherProcess: Bool {
    unsafe engine.pointee.forks.load(ordering: .acquiring) != ckeyturn_forks()
  }

  /// Whether who asks for a fetch may hope for one.
  var mayFetch: Bool { unsafe engine.pointee.hasHook.load(ordering: .acquiring) && !isForked }

  // MARK: - Start

  /// `open` brings a fetcher where the host has given none.
  func start(_ open: () throws(Fault) -> FetchHook) throws(Fault) {
    try Driver.withLock { () throws(Fault) in
      guard !isStarted || isForked else { return }
      beginAfterFork()
      try makeBell()
      try openFetcher(open)
      try launch()
    }
  }

  /// An issuer that is fetched is about to come.
  func openIfStarted(_ open: () throws(Fault) -> FetchHook) throws(Fault) {
    guard isStarted, !mayFetch else { return }
    guard !isForked else { throw .forked }
    try Driver.withLock { () throws(Fault) in try take(open) }
  }

  /// A cache that fetches nothing needs none.
  private func openFetcher(_ open: () throws(Fault) -> FetchHook) throws(Fault) {
    if isFetching { try take(open) }
  }

  @inline(never)
  private func take(_ open: () throws(Fault) -> FetchHook) throws(Fault) {
    guard unsafe !engine.pointee.hasHook.load(ordering: .acquiring) else { return }
    let hook = try open()
    let now = time
    ControlLock.with {
      unsafe engine.pointee.set(hook)
      unsafe engine.pointee.roster.visit { seat in
        if let issuer = seat.issuer { begin(issuer, issuer.source, now) }
      }
    }
  }

  /// It is kept to the cache's end, since readers ring it in no lock.
  private func makeBell() throws(Fault) {
    let bell = unsafe engine.pointee.roster.bell
    let made = bell.descriptor.map { ckeyturn_bell_renew($0) == 0 ? $0 : -1 } ?? ckeyturn_bell_new()
    guard made >= 0 else { throw .noThread }
    bell.set(descriptor: made)
  }

  private func launch() throws(Fault) {
    retainMemory()
    unsafe engine.pointee.driver.isEnding.store(false, ordering: .releasing)
    ControlLock.with { unsafe engine.pointee.driver.isStarted.store(true, ordering: .releasing) }
    let made = unsafe ckeyturn_thread_start(
      { memory in
        if let memory = unsafe memory { unsafe Cache(memory).drive() }
        return nil
      }, memory, &engine.pointee.driver.thread)
    guard made != 0 else { return }
    close()
    releaseMemory()
    throw .noThread
  }

  // MARK: - The thread

  private func drive() {
    beginToWatch()
    while unsafe !engine.pointee.driver.isEnding.load(ordering: .acquiring) {
      let begun = ckeyturn_steady_time()
      let due = min(turn(), Driver.longestWait)
      let next = tableMaking != .never && makeTable() ? 0 : due
      if let descriptor = unsafe engine.pointee.roster.bell.descriptor {
        waitForChanges(descriptor, next, since: begun)
      }
    }
    endWatch()
    close()
    releaseMemory()
  }

  /// What is under way is over. When the fetcher that was opened ends, nobody has anything to do with it any more.
  @inline(never)
  private func close() {
    let now = time
    let opened = ControlLock.with { () -> FetchHook? in
      interrupt(now)
      return unsafe engine.pointee.giveBackOpened()
    }
    tellAllCancelled()
    callLoops()
    opened?.end()
    ControlLock.with { unsafe engine.pointee.driver.isStarted.store(false, ordering: .releasing) }
  }

  // MARK: - Stop

  @inline(never)
  func stop() {
    endThread()
    endSumming()
  }

  private func endThread() {
    guard isStarted, !isForked else { return }
    ckeyturn_driver_lock()
    defer { ckeyturn_driver_unlock() }
    guard isStarted else { return }
    unsafe engine.pointee.driver.isEnding.store(true, ordering: .releasing)
    unsafe engine.pointee.roster.bell.wake()
    unsafe ckeyturn_thread_end(engine.pointee.driver.thread)
  }

  /// With the last handle, when nobody rings any more.
  func closeBell() {
    let bell = unsafe engine.pointee.roster.bell
    guard let descriptor = bell.descriptor else { return }
    bell.set(descriptor: nil)
    ckeyturn_bell_close(descriptor)
  }
}
