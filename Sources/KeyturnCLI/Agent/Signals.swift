import Foundation

/// What an operator says to the process: taken from the queue of signals, so that no handler runs. Made before
/// any thread is started: threads inherit what is held back.
struct Signals {
  enum Word {
    case reload
    case end
  }

  private var set = sigset_t()

  init() {
    sigemptyset(&set)
    for signal in [SIGHUP, SIGTERM, SIGINT] { sigaddset(&set, signal) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// nil when the time is over.
  func next(within milliseconds: Int) -> Word? {
    var set = set
    var time = timespec(tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000)
    switch sigtimedwait(&set, nil, &time) {
    case SIGHUP: return .reload
    case SIGTERM, SIGINT: return .end
    default: return nil
    }
  }
}
