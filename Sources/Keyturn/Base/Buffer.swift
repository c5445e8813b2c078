internal import CKeyturn

/// Owned octets that can grow, as far as their maximum. One owner; wiped and released with it.
@safe struct Buffer: ~Copyable {
  private var base: UnsafeMutableRawPointer?
  private(set) var capacity = 0
  let maximum: Int

  init(maximum: Int) {
    unsafe base = nil
    self.maximum = maximum
  }

  /// A buffer with room for `count` octets, which will not grow.
  static func of(_ count: Int) throws(Status) -> Buffer {
    var buffer = Buffer(maximum: count)
    try buffer.reserve(count)
    return buffer
  }

  deinit { unsafe Buffer.release(base, capacity) }

  /// Makes room for `count` octets; what was in it is lost when it grows.
  mutating func reserve(_ count: Int) throws(Status) {
    guard count > capacity else { return }
    guard count <= maximum else { throw .limitExceeded }
    let wanted = min(maximum, max(max(count, 256), capacity &* 2))
    let larger = try unsafe Memory.allocate(wanted)
    unsafe Buffer.release(base, capacity)
    unsafe base = larger
    capacity = wanted
  }

  /// Valid until the buffer grows or goes.
  var room: Room { unsafe Room(base?.assumingMemoryBound(to: UInt8.self), count: capacity) }

  private static func release(_ base: UnsafeMutableRawPointer?, _ capacity: Int) {
    guard let base = unsafe base else { return }
    unsafe Memory.wipe(base, capacity)
    unsafe Memory.release(base)
  }
}
