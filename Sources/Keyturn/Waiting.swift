// Who waits for the end of a flight instead of asking for it: parked at the issuer, woken once, and then taken by the
// loop that it belongs to.
//
//   jwt_verify -> pending, with the count of flights that had ended before its look-up -> park: it has ended? ask again
//   the flight ends: new keys, then what readers find at the door, then the count, then the waiters wake
//
// Counting and parking are under the control lock, so that no end falls between the two and is missed.
internal import CKeyturn

/// One who waits. It is the host's from `park` to `cancel`, whatever becomes of it; it holds its issuer and its loop.
@safe struct Waiter: Equatable {
  private let record: UnsafeMutablePointer<WaiterRecord>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: WaiterRecord.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  @unsafe static func make(
    _ issuer: Issuer, _ loop: Loop, _ user: UnsafeMutableRawPointer, until: Int64
  ) throws(Status) -> Waiter {
    let memory = try unsafe Memory.allocate(MemoryLayout<WaiterRecord>.size)
    unsafe memory.assumingMemoryBound(to: WaiterRecord.self).initialize(
      to: WaiterRecord(issuer: issuer, loop: loop, user: user, until: until))
    issuer.retain()
    loop.retain()
    return unsafe Waiter(memory)
  }

  static func == (left: Waiter, right: Waiter) -> Bool { unsafe left.record == right.record }

  var loop: Loop { unsafe record.pointee.loop }
  var until: Int64 { unsafe record.pointee.until }
  @unsafe var user: UnsafeMutableRawPointer { unsafe record.pointee.user }

  fileprivate var place: WaiterPlace {
    get { unsafe record.pointee.place }
    nonmutating set { unsafe record.pointee.place = newValue }
  }

  /// Nothing is delivered for it from now on, and it is gone.
  @inline(never)
  func cancel() {
    ControlLock.with {
      switch place.list {
      case .none: break
      case .issuer: unsafe record.pointee.issuer.waiters.remove(self)
      case .loop: loop.remove(self)
      }
    }
    destroy()
  }

  @inline(never)
  func destroy() {
    let (issuer, loop) = unsafe (record.pointee.issuer, record.pointee.loop)
    unsafe Memory.release(record)
    loop.release()
    issuer.release()
  }
}

/// Where a waiter stands; under the control lock.
struct WaiterPlace: BitwiseCopyable {
  enum List: UInt8, BitwiseCopyable {
    case none
    case issuer
    case loop
  }

  var list = List.none
  var next: Waiter?
  var previous: Waiter?
}

@safe struct WaiterRecord: BitwiseCopyable {
  let issuer: Issuer
  let loop: Loop
  let user: UnsafeMutableRawPointer
  let until: Int64
  var place = WaiterPlace()

  @unsafe init(issuer: Issuer, loop: Loop, user: UnsafeMutableRawPointer, until: Int64) {
    self.issuer = issuer
    self.loop = loop
    unsafe self.user = unsafe user
    self.until = until
  }
}

/// In the order in which they came, linked through their records.
struct WaiterList: BitwiseCopyable {
  private(set) var first: Waiter?
  private var last: Waiter?
  private(set) var count: Int64 = 0

  mutating func append(_ waiter: Waiter, _ list: WaiterPlace.List) {
    waiter.place = WaiterPlace(list: list, next: nil, previous: last)
    if let last { last.place.next = waiter } else { first = waiter }
    last = waiter
    count &+= 1
  }

  mutating func remove(_ waiter: Waiter) {
    let place = waiter.place
    if let previous = place.previous { previous.place.next = place.next } else { first = place.next }
    if let next = place.next { next.place.previous = place.previous } else { last = place.previous }
    waiter.place = WaiterPlace()
    count &-= 1
  }
}

/// Those who have woken and belong to one event loop, and how it is told.
@safe struct Loop: Equatable {
  private let record: UnsafeMutablePointer<LoopRecord>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: LoopRecord.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  /// It is told by a descriptor, unless there is a call for it.
  @unsafe static func make(_ cache: Cache, _ notify: LoopCall?) throws(Status) -> Loop {
    guard !cache.isForked else { throw .forked }
    cache.beginAfterFork()
    let descriptor = notify == nil ? ckeyturn_bell_new() : -1
    guard descriptor >= 0 || notify != nil else { throw .noThread }
    do throws(Status) {
      let memory = try unsafe Memory.allocate(MemoryLayout<LoopRecord>.size)
      unsafe memory.assumingMemoryBound(to: LoopRecord.self).initialize(
        to: LoopRecord(cache, descriptor, notify))
      cache.retain()
      return unsafe Loop(memory)
    } catch {
      if descriptor >= 0 { ckeyturn_bell_close(descriptor) }
      throw error
    }
  }

  static func == (left: Loop, right: Loop) -> Bool { unsafe left.record == right.record }

  func retain() { unsafe record.pointee.holders.retain() }

  @inline(never)
  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    let (cache, descriptor) = (cache, descriptor)
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
    if descriptor >= 0 { ckeyturn_bell_close(descriptor) }
    cache.release()
  }

  var cache: Cache { unsafe record.pointee.cache }
  var descriptor: Int32 { unsafe record.pointee.descriptor }
  var isOfThisProcess: Bool { unsafe record.pointee.forks == ckeyturn_forks() }

  /// By the host: waiters that are left hold it, but nobody is told of them.
  func close() {
    ControlLock.with { unsafe record.pointee.isClosed = true }
    release()
  }

  /// The user of the next who has woken. Where there is none, the descriptor is silent until there is.
  @unsafe func next() -> UnsafeMutableRawPointer? {
    unsafe ControlLock.with { () -> UnsafeMutableRawPointer? in
      guard let waiter = unsafe record.pointee.woken.first else {
        if descriptor >= 0 { ckeyturn_bell_silence(descriptor) }
        return nil
      }
      remove(waiter)
      return unsafe waiter.user
    }
  }

  /// For a thread with a loop of its own: whether somebody woke in time.
  func wait(atMost milliseconds: Int64) -> Bool {
    let end = ckeyturn_steady_time() &+ milliseconds
    while unsafe next() == nil {
      let left = end &- ckeyturn_steady_time()
      guard left > 0 else { return false }
      _ = ckeyturn_bell_await(descriptor, -1, -1, left)
    }
    return true
  }

  // MARK: - Under the control lock

  fileprivate func remove(_ waiter: Waiter) { unsafe record.pointee.woken.remove(waiter) }

  /// What cannot be told under a lock is told when it is over.
  fileprivate func take(_ waiter: Waiter) {
    let isFirst = unsafe record.pointee.woken.first == nil
    unsafe record.pointee.woken.append(waiter, .loop)
    if isFirst { signal() }
  }

  func signal() {
    guard isOfThisProcess, unsafe !record.pointee.isClosed else { return }
    guard descriptor < 0 else { return ckeyturn_bell_ring(descriptor) }
    guard unsafe !record.pointee.isToBeCalled else { return }
    unsafe record.pointee.isToBeCalled = true
    retain()
    unsafe record.pointee.next = cache.engine.pointee.calls
    unsafe cache.engine.pointee.calls = self
  }

  /// Off the list of those to be called.
  fileprivate func uncall() {
    unsafe cache.engine.pointee.calls = record.pointee.next
    unsafe record.pointee.isToBeCalled = false
  }

  /// In no lock.
  fileprivate func call() { unsafe record.pointee.notify?.call() }
}

/// The host's function for a loop.
@safe struct LoopCall {
  typealias Function = @convention(c) (UnsafeMutableRawPointer?) -> Void

  private let function: Function
  private let context: UnsafeMutableRawPointer?

  @unsafe init(_ function: Function, context: UnsafeMutableRawPointer?) {
    unsafe self.function = unsafe function
    unsafe self.context = unsafe context
  }

  func call() { unsafe function(context) }
}

struct LoopRecord: ~Copyable {
  /// First: see `Engine`.
  var woken = WaiterList()
  var isClosed = false
  var isToBeCalled = false
  var next: Loop?
  let holders = Holders()
  let cache: Cache
  let descriptor: Int32
  let notify: LoopCall?
  let forks = ckeyturn_forks()

  init(_ cache: Cache, _ descriptor: Int32, _ notify: LoopCall?) {
    self.cache = cache
    self.descriptor = descriptor
    self.notify = notify
  }
}

extension Cache {
  /// Until the flight under way at the issuer ends. `retry` if it is over, or there is none: ask again at once.
  @unsafe func park(
    _ issuer: Issuer, stamp: UInt64, _ loop: Loop, _ user: UnsafeMutableRawPointer
  ) throws(Status) -> Waiter {
    let source = issuer.source
    guard !isForked, loop.isOfThisProcess else { throw .forked }
    let now = time
    let waiter = try unsafe Waiter.make(issuer, loop, user, until: now &+ source.settings.fetchTimeout)
    let refusal = ControlLock.with { admit(waiter, issuer, source, stamp, now) }
    tell()
    guard let refusal else { return waiter }
    waiter.destroy()
    throw refusal
  }

  /// Under the control lock. What the token has asked for is decided here, if the engine has not come to it yet.
  private func admit(
    _ waiter: Waiter, _ issuer: Issuer, _ source: Source, _ stamp: UInt64, _ now: Int64
  ) -> Status? {
    guard !issuer.isRemoved else { return .retry }
    answer(source, issuer, now)
    guard source.stamp == stamp, source.flight != nil else { return .retry }
    guard issuer.waiters.count < source.settings.maxWaiters else { return .keysUnavailable }
    issuer.waiters.append(waiter, .issuer)
    settle(source, issuer, .nothing, now)
    wakeEngine()
    if !isStarted { waiter.loop.signal() }  // its host has to poll
    return nil
  }

  /// Under the control lock: the flight is over, so that those who wait ask again; or as many as have waited too long.
  @inline(never)
  func wake(_ issuer: Issuer, until: Int64 = .max) {
    while let waiter = issuer.waiters.first, waiter.until <= until {
      issuer.waiters.remove(waiter)
      waiter.loop.take(waiter)
    }
  }

  /// In no lock: those who cannot be told under one.
  @inline(never)
  func callLoops() {
    while let loop = ControlLock.with({ nextCalled() }) {
      loop.call()
      loop.release()
    }
  }

  private func nextCalled() -> Loop? {
    let loop = unsafe engine.pointee.calls
    loop?.uncall()
    return loop
  }
}
