// Changes that the system tells at once: in the store, and where files of keys stand. What is told is only that there
// is something; then everything is looked at, as it is each second anyway. So nothing depends on it, and what the
// system drops is not missed. It is for the engine's thread alone: a host that polls looks when it polls.
internal import CKeyturn
internal import Synchronization

struct ChangeWatch: BitwiseCopyable {
  /// -1 where nothing is told.
  fileprivate var descriptor: Int32 = -1
  fileprivate var isTold = false
  /// Until then nobody listens, so that who writes without end has little of our time.
  fileprivate var listensFrom: Int64 = 0

  fileprivate static var leastPause: Int64 { 50 }
  /// Of the time that looks take, and what they are to take of all.
  fileprivate static var pauseShare: Int64 { 16 }
}

extension Cache {
  /// What has changed before is seen by a look.
  func beginToWatch() {
    if let store { watch { ckeyturn_watch_directory($0, store.descriptor) } }
    lookAtAll()
  }

  func watch(_ path: Bytes) {
    guard isStarted, let start = unsafe path.string else { return }
    watch { unsafe ckeyturn_watch_path($0, start) }
  }

  private func watch(_ add: (Int32) -> Int32) {
    if unsafe engine.pointee.driver.watch.descriptor < 0 {
      unsafe engine.pointee.driver.watch.descriptor = ckeyturn_watch_new()
    }
    guard unsafe engine.pointee.driver.watch.descriptor >= 0 else { return }
    _ = unsafe add(engine.pointee.driver.watch.descriptor)
  }

  func endWatch() {
    unsafe ckeyturn_store_close(engine.pointee.driver.watch.descriptor)
    unsafe engine.pointee.driver.watch = ChangeWatch()
  }

  /// For what comes next, after a turn that began then.
  func waitForChanges(_ bell: Int32, _ milliseconds: Int64, since begun: Int64) {
    var watch = unsafe engine.pointee.driver.watch
    let now = ckeyturn_steady_time()
    if watch.isTold {
      watch.listensFrom = now &+ max(ChangeWatch.leastPause, ChangeWatch.pauseShare &* (now &- begun))
    }
    let pause = watch.descriptor < 0 ? 0 : max(0, watch.listensFrom &- now)
    let heard = ckeyturn_bell_await(
      bell, agentSocket, pause > 0 ? -1 : watch.descriptor,
      pause > 0 ? min(pause, milliseconds) : milliseconds)
    watch.isTold = heard == 1
    unsafe engine.pointee.driver.watch = watch
    guard watch.isTold else { return }
    ckeyturn_watch_drain(watch.descriptor)
    lookAtAll()
  }

  /// In the next turn.
  private func lookAtAll() {
    unsafe engine.pointee.nextLook = .min
    ControlLock.with {
      unsafe engine.pointee.storeLook.next = .min
      unsafe engine.pointee.roster.visit { seat in
        guard let source = seat.issuer?.source, source.hurryLook() else { return }
        unsafe engine.pointee.roster.set(deadline: .min, at: source.seat)
      }
      unsafe engine.pointee.due.store(.min, ordering: .releasing)
    }
  }
}
