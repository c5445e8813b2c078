internal import CKeyturn

/// Milliseconds that no wall clock moves: the host's word, or the system's CLOCK_BOOTTIME.
@safe struct SteadyClock {
  private let function: WallClock.Function?
  private let context: UnsafeMutableRawPointer?

  @unsafe init(_ function: WallClock.Function?, context: UnsafeMutableRawPointer?) {
    unsafe self.function = function
    unsafe self.context = context
  }

  var now: Int64 {
    guard let function = unsafe function else { return ckeyturn_steady_time() }
    return unsafe function(context)
  }
}
