internal import Synchronization

/// How many hold a shared record. Whoever releases last frees it.
struct Holders: ~Copyable {
  private let count = Atomic<Int>(1)

  func retain() {
    count.wrappingAdd(1, ordering: .relaxed)
  }

  /// False once the last holder has released it.
  func retainIfHeld() -> Bool {
    var known = count.load(ordering: .relaxed)
    while known > 0 {
      let (isMine, found) = count.compareExchange(
        expected: known, desired: known &+ 1, ordering: .relaxed)
      if isMine { return true }
      known = found
    }
    return false
  }

  /// For who knows that nobody retains meanwhile.
  var isOne: Bool { count.load(ordering: .acquiring) == 1 }

  /// True for the last holder, who sees all that the others did.
  func release() -> Bool {
    count.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0
  }
}
