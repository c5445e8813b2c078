/// The contexts that one thread keeps: those of the keys that it used last, at most 32. A key that is gone leaves
/// its contexts behind until others take their place or the thread ends; nobody finds them any more, because no two
/// keys ever have the same id.
@safe struct KeptContexts {
  private struct Place {
    /// Of a key and an algorithm; 0: empty.
    var tag: UInt64
    var context: SignatureContext
  }

  private struct Head {
    /// The place that is given away next.
    var oldest = 0
  }

  private let base: UnsafeMutableRawPointer

  private static var capacity: Int { 32 }

  static var size: Int { MemoryLayout<Head>.stride &+ capacity &* MemoryLayout<Place>.stride }

  /// Zeroed memory of that size, aligned for any of it.
  @unsafe init(_ base: UnsafeMutableRawPointer) { unsafe self.base = base }

  private var head: UnsafeMutablePointer<Head> { unsafe base.assumingMemoryBound(to: Head.self) }

  private var places: UnsafeMutablePointer<Place> {
    unsafe (base + MemoryLayout<Head>.stride).assumingMemoryBound(to: Place.self)
  }

  private static func tag(_ key: Key, _ algorithm: Algorithm) -> UInt64 {
    key.id &<< 5 | UInt64(algorithm.rawValue)
  }

  /// Kept from before, or made.
  @_optimize(speed)
  func context(of key: Key, _ algorithm: Algorithm) throws(Status) -> SignatureContext {
    let tag = KeptContexts.tag(key, algorithm)
    for number in KeptContexts.capacity.times {
      let place = unsafe places + number
      if unsafe place.pointee.tag == tag { return unsafe place.pointee.context }
    }
    return try make(tag, key, algorithm)
  }

  @inline(never)
  private func make(_ tag: UInt64, _ key: Key, _ algorithm: Algorithm) throws(Status) -> SignatureContext {
    let made = try SignatureContext.make(key, algorithm)
    let number = unsafe head.pointee.oldest
    unsafe head.pointee.oldest = (number &+ 1) % KeptContexts.capacity
    empty(number)
    unsafe places[number] = Place(tag: tag, context: made)
    return made
  }

  /// After a failure, which may have left them half-way.
  func drop(_ key: Key, _ algorithm: Algorithm) {
    let tag = KeptContexts.tag(key, algorithm)
    for number in KeptContexts.capacity.times where unsafe places[number].tag == tag { empty(number) }
  }

  func dropAll() {
    for number in KeptContexts.capacity.times { empty(number) }
  }

  /// Leaves them where they are, in the child of a fork: their thread, which is not there, may have been at work on
  /// them.
  func abandon() {
    for number in KeptContexts.capacity.times { unsafe places[number].tag = 0 }
  }

  private func empty(_ number: Int) {
    guard unsafe places[number].tag != 0 else { return }
    unsafe places[number].tag = 0
    if Libcrypto.isAlive { unsafe places[number].context.free() }
  }
}
