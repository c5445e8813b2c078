/// What is trusted of one issuer: its keys and its revocations, published together by one exchange.
///
/// A snapshot is a small record of two parts. Neither part ever changes, and each is held by all snapshots
/// that show it: new keys come with the revocations that were there, a new revocation with the same keys. Its
/// memory begins with the epoch's link, and goes when the last reader that could see it has left.
@safe struct Snapshot: Equatable {
  @unsafe let memory: UnsafeMutableRawPointer

  @unsafe init(_ memory: UnsafeMutableRawPointer) { unsafe self.memory = memory }

  static func == (left: Snapshot, right: Snapshot) -> Bool { unsafe left.memory == right.memory }

  /// Holds both parts.
  static func make(keys: KeySet?, revocations: Revocations?) throws(Status) -> Snapshot {
    let snapshot = try unsafe Snapshot(Memory.allocate(Parts.end))
    keys?.retain()
    revocations?.retain()
    unsafe snapshot.parts.initialize(to: Parts(keys: keys, revocations: revocations))
    return snapshot
  }

  /// nil as long as no key set was accepted.
  var keys: KeySet? { unsafe parts.pointee.keys }

  /// nil where nothing is revoked.
  var revocations: Revocations? { unsafe parts.pointee.revocations }

  /// Frees a snapshot that nobody can see any more, and those parts that no other one shows.
  func destroy() {
    keys?.release()
    revocations?.release()
    unsafe Memory.release(memory)
  }

  private struct Parts {
    let keys: KeySet?
    let revocations: Revocations?

    /// Behind the epoch's link.
    static var offset: Int { RetireLink.size }
    static var end: Int { offset &+ MemoryLayout<Parts>.size }
  }

  private var parts: UnsafeMutablePointer<Parts> {
    unsafe (memory + Parts.offset).assumingMemoryBound(to: Parts.self)
  }
}
