internal import CKeyturnAPI
internal import CKeyturnFetch
internal import CKeyturnFetchAPI

/// Makes the fetches that a host's threads start, in one thread of its own.
///
/// A flight is in the list from `start` to its completion. Any thread may add one or mark one as cancelled, under
/// the lock; the fetcher's own thread alone begins, ends and frees them, and calls libcurl. So a record is either
/// constant, or under the lock, or that thread's; none is two of these.
///
/// 1. A flight leaves the list before its completion is called, so a handle that comes again is another fetch.
/// 2. Nothing of a flight or of its request is touched after its completion.
/// 3. The lock is never held while libcurl or the host is called, but for `wake`, which only writes.
@safe struct Fetcher {
  static var mostUnderWay: Int { 64 }
  private static var mostWaiting: Int { 1_024 }
  private static var longestWait: Int { 60_000 }

  private let record: UnsafePointer<FetcherRecord>
  private let queue: UnsafeMutablePointer<FetcherQueue>

  /// nil for a fetcher that was stopped.
  @unsafe init?(_ memory: UnsafeMutableRawPointer?) {
    guard let memory = unsafe memory else { return nil }
    unsafe record = UnsafePointer(memory.assumingMemoryBound(to: FetcherRecord.self))
    unsafe queue = (memory + FetcherRecord.stride).assumingMemoryBound(to: FetcherQueue.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(mutating: record) }

  // MARK: - In the host's threads

  static func make(_ complete: @escaping Complete) throws(Fault) -> Fetcher {
    do throws(Status) {
      let worker = try Worker.make()
      let multi = try Multi.make()
      let memory = try unsafe Memory.allocate(FetcherRecord.stride &+ MemoryLayout<FetcherQueue>.size)
      let queue = unsafe (memory + FetcherRecord.stride).assumingMemoryBound(to: FetcherQueue.self)
      unsafe queue.initialize(to: FetcherQueue())
      unsafe memory.assumingMemoryBound(to: FetcherRecord.self).initialize(
        to: FetcherRecord(complete: complete, worker: worker, multi: multi))
      guard let fetcher = unsafe Fetcher(memory) else { throw .noMemory }
      try fetcher.startThread()
      return fetcher
    } catch { throw Fault(.noMemory, "There is no memory, thread or descriptor left; nothing was changed.") }
  }

  private func startThread() throws(Status) {
    let body: Worker.Body = { context in unsafe Fetcher(context)?.run() }
    guard unsafe record.pointee.worker.start(CString.of("keyturn-fetch"), body, memory) else {
      free()
      throw .noMemory
    }
  }

  @unsafe func start(_ fetch: OpaquePointer, _ request: UnsafePointer<jwks_request>?) {
    guard isHere, let request = unsafe Request.read(request),
      let flight = unsafe Flight.make(fetch, request)
    else { return unsafe refuse(fetch) }
    guard enrol(flight) else {
      flight.free()
      return unsafe refuse(fetch)
    }
    wake()
  }

  @unsafe func cancel(_ fetch: OpaquePointer) {
    guard isHere else { return }
    let found = withQueue { queue in
      let flight = queue.flights.first { unsafe $0.fetch == fetch }
      flight?.isCancelled = true
      return flight != nil
    }
    if found { wake() }
  }

  func stop() {
    guard isHere else { return }
    withQueue { $0.isStopping = true }
    wake()
    unsafe record.pointee.worker.join()
    free()
  }

  private func free() {
    unsafe UnsafeMutablePointer(mutating: record).deinitialize(count: 1)
    unsafe Memory.release(memory)
  }

  private func enrol(_ flight: Flight) -> Bool {
    withQueue { queue in
      guard queue.count < Fetcher.mostUnderWay &+ Fetcher.mostWaiting else { return false }
      queue.count &+= 1
      queue.flights.append(flight)
      return true
    }
  }

  @unsafe private func refuse(_ fetch: OpaquePointer) {
    var response = unsafe jwks_response()
    unsafe response.size = MemoryLayout<jwks_response>.size
    unsafe response.failure = JWKS_FETCH_OTHER
    unsafe record.pointee.complete(fetch, &response)
  }

  // MARK: - In its own thread

  private func run() {
    while true {
      while let task = nextTask() { carryOut(task) }
      if withQueue({ $0.isStopping }) { return }
      unsafe record.pointee.multi.perform()
      if finishDone() { continue }
      unsafe record.pointee.multi.wait(untilNextDeadline)
    }
  }

  private enum Task {
    case begin(Flight)
    case end(Flight, jwks_fetch_failure)
  }

  /// What is due for the first flight for which anything is: there are few, and most of the time nothing is.
  private func nextTask() -> Task? {
    let now = ckeyturnfetch_now()
    return withQueue { queue in
      let isStopping = queue.isStopping
      if let flight = queue.flights.first(where: { isStopping || $0.isCancelled }) {
        return .end(flight, JWKS_FETCH_CANCELLED)
      }
      let hasPlace = queue.underWay < Fetcher.mostUnderWay
      let due = queue.flights.first { !$0.isUnderWay && (hasPlace || $0.deadline <= now) }
      guard let due else { return nil }
      if due.deadline <= now { return .end(due, JWKS_FETCH_TIMEOUT) }
      due.isUnderWay = true
      queue.underWay &+= 1
      return .begin(due)
    }
  }

  private func carryOut(_ task: Task) {
    switch task {
    case .begin(let flight): send(flight)
    case .end(let flight, let failure): end(flight, failure)
    }
  }

  /// The first request, or the one that a redirect asks for.
  private func send(_ flight: Flight) {
    let failure = flight.prepare()
    guard failure == JWKS_FETCH_ANSWERED else { return end(flight, failure) }
    guard unsafe record.pointee.multi.add(flight) else { return end(flight, JWKS_FETCH_OTHER) }
  }

  /// False if none was.
  private func finishDone() -> Bool {
    var any = false
    while let (flight, code) = unsafe record.pointee.multi.nextDone() {
      any = true
      switch flight.judge(code) {
      case .ended(let failure): end(flight, failure)
      case .redirected:
        unsafe record.pointee.multi.remove(flight)
        send(flight)
      }
    }
    return any
  }

  private func end(_ flight: Flight, _ failure: jwks_fetch_failure) {
    unsafe record.pointee.multi.remove(flight)
    let fetch = unsafe withQueue { queue in
      queue.flights.remove(flight)
      queue.count &-= 1
      if flight.isUnderWay { queue.underWay &-= 1 }
      return unsafe flight.fetch
    }
    unsafe flight.withResponse(failure) { response in unsafe record.pointee.complete(fetch, response) }
    flight.free()
  }

  /// In milliseconds; libcurl minds the deadlines of what is under way.
  private var untilNextDeadline: Int {
    let next = withQueue { $0.flights.earliestDeadline }
    guard let next else { return Fetcher.longestWait }
    return max(0, Int(next &- ckeyturnfetch_now()))
  }

  // MARK: - Its parts

  private var isHere: Bool { unsafe record.pointee.worker.isHere }
  private func wake() { unsafe record.pointee.multi.wake() }

  /// Under the lock.
  private func withQueue<Result>(_ body: (inout FetcherQueue) -> Result) -> Result {
    unsafe record.pointee.worker.locked { unsafe body(&queue.pointee) }
  }
}

typealias Complete = @convention(c) (OpaquePointer?, UnsafePointer<jwks_response>?) -> Void

/// Constant.
@safe private struct FetcherRecord: ~Copyable {
  static var stride: Int { (MemoryLayout<FetcherRecord>.size &+ 63) & ~63 }

  let complete: Complete
  let worker: Worker
  let multi: Multi
}

/// Under the lock.
private struct FetcherQueue {
  var flights = FlightList()
  var count = 0
  var underWay = 0
  var isStopping = false
}
