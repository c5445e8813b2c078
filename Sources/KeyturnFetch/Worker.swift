internal import CKeyturnFetch

/// A thread and its lock. One owner, who joins the thread before it goes.
@safe struct Worker: ~Copyable {
  typealias Body = @convention(c) (UnsafeMutableRawPointer?) -> Void

  private let worker: OpaquePointer

  private init(_ worker: OpaquePointer) { unsafe self.worker = worker }

  deinit { unsafe ckeyturnfetch_worker_free(worker) }

  static func make() throws(Status) -> Worker {
    guard let worker = unsafe ckeyturnfetch_worker_new() else { throw .noMemory }
    return unsafe Worker(worker)
  }

  @unsafe func start(_ name: UnsafePointer<CChar>, _ body: Body, _ context: UnsafeMutableRawPointer) -> Bool {
    unsafe ckeyturnfetch_worker_start(worker, name, body, context) == 0
  }

  func join() { unsafe ckeyturnfetch_worker_join(worker) }

  func locked<Result>(_ body: () -> Result) -> Result {
    unsafe ckeyturnfetch_worker_lock(worker)
    defer { unsafe ckeyturnfetch_worker_unlock(worker) }
    return body()
  }

  /// Not in a forked child.
  var isHere: Bool { unsafe ckeyturnfetch_worker_is_here(worker) != 0 }
}
