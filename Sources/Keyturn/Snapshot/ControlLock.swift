internal import CKeyturn

/// Held by every call that changes something, one at a time in the process, and by fork(). Nothing of the
/// host's is called under it, and no verification takes it. It is the outermost lock: under it come only
/// those of malloc, libcrypto and jansson.
enum ControlLock {
  @inline(__always)
  static func with<Result: ~Copyable, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    ckeyturn_control_lock()
    defer { ckeyturn_control_unlock() }
    return try body()
  }
}
