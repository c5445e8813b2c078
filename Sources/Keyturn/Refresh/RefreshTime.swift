/// When something happens, and the chance that goes with it: all that a decision takes from outside.
///
/// `now` counts milliseconds on a clock that no wall clock moves and that runs while the machine sleeps
/// (CLOCK_BOOTTIME). `random` is a fresh word for each event.
struct RefreshTime: BitwiseCopyable {
  let now: Int64
  let random: UInt64

  /// Uniform from 0 up to `span`, which it does not reach.
  func spread(_ span: Int64) -> Int64 {
    guard span > 0 else { return 0 }
    return Int64(truncatingIfNeeded: UInt64(truncatingIfNeeded: span).multipliedFullWidth(by: random).high)
  }
}
