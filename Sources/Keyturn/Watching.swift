// Changes that the system tells at once: in the store, and where files of keys stand. What is told is only that there
// is something; then everything is looked at, as it is each second anyway. So nothing depends on it, and what the
// system drops is not missed. It is for the engine's thread alone: a host that polls looks when it polls.
internal import CKeyturn
internal import Synchronization

struct ChangeWatch: BitwiseCopyable {
  /// -1 where nothing is told.
  fileprivate var descriptor: Int32 = -1
  fileprivate var isTold = false
  /// Something could not be watched since all of it was last tried.
  fileprivate var isIncomplete = false
  /// When all of it is tried anew.
  fileprivate var retriesFrom: Int64 = 0
  /// Until then nobody listens, so that who writes without end has little of our time.
  fileprivate var listensFrom: Int64 = 0

  fileprivate static var leastPause: Int64 { 50 }
  /// Of the time that looks take, and what they are to take of all.
  fileprivate static var pauseShare: Int64 { 16 }
  fileprivate static var retryInterval: Int64 { 5_000 }
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
    var watch = unsafe engine.pointee.driver.watch
    if watch.descriptor < 0 { watch.descriptor = ckeyturn_watch_new() }
    if watch.descriptor < 0 || add(watch.descriptor) < 0 {
      let fault = StoreFault.ofSystem
      let now = time
      ControlLock.with { note(.watching, fault == .noSpace ? .exhausted : fault, at: now) }
      if !watch.isIncomplete { watch.retriesFrom = ckeyturn_steady_time() &+ ChangeWatch.retryInterval }
      watch.isIncomplete = true
    }
    unsafe engine.pointee.driver.watch = watch
  }

  /// Whether all of it is tried once more, with a descriptor that has forgotten what is no longer wanted.
  private func watchAnew(_ watch: ChangeWatch, _ now: Int64) -> Bool {
    guard watch.isIncomplete, now >= watch.retriesFrom else { return false }
    endWatch()
    beginToWatch()
    return true
  }

  func endWatch() {
    unsafe ckeyturn_store_close(engine.pointee.driver.watch.descriptor)
    unsafe engine.pointee.driver.watch = ChangeWatch()
  }

  /// For what comes next, after a turn that began then.
  func waitForChanges(_ bell: Int32, _ milliseconds: Int64, since begun: Int64) {
    var watch = unsafe engine.pointee.driver.watch
    let now = ckeyturn_steady_time()
    guard !watchAnew(watch, now) else { return }
    if !watch.isIncomplete {
      let now = time
      ControlLock.with { note(.watching, nil, at: now) }
    }
    if watch.isTold {
      watch.listensFrom = now &+ max(ChangeWatch.leastPause, ChangeWatch.pauseShare &* (now &- begun))
    }
    let pause = watch.descriptor < 0 ? 0 : max(0, watch.listensFrom &- now)
    let agent = listen()
    var wait = milliseconds
    if pause > 0 { wait = min(wait, pause) }
    if agent.pause > 0 { wait = min(wait, agent.pause) }
    let heard = ckeyturn_bell_await(bell, agent.socket, pause > 0 ? -1 : watch.descriptor, wait)
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
