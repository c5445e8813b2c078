internal import CKeyturn

/// Unix seconds: the host's word, or the system's wall clock.
@safe struct WallClock {
  typealias Function = @convention(c) (UnsafeMutableRawPointer?) -> Int64

  private let function: Function?
  private let context: UnsafeMutableRawPointer?

  @unsafe init(_ function: Function?, context: UnsafeMutableRawPointer?) {
    unsafe self.function = function
    unsafe self.context = context
  }

  var now: Int64 {
    guard let function = unsafe function else { return ckeyturn_unix_time() }
    return unsafe function(context)
  }
}
