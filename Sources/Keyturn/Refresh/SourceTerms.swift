/// What the host has said of an issuer's source: where its keys are, and the bounds of asking for them. Made once and
/// replaced as a whole, under the control lock; its owner is the source. Its texts stand behind it.
@safe struct SourceTerms {
  struct Record {
    var kind = RefreshSource.pinned
    var settings = RefreshSettings()
    var target = SourceTarget.none
    var isLazy = false
    /// Unix seconds from which pinned keys count no more.
    var validUntil = Int64.max
    /// The path of the file that pinned keys come from; empty for none.
    var file = Bytes.empty
  }

  private let record: UnsafeMutablePointer<Record>

  /// `build` puts its texts in the arena that it is given.
  static func make(_ build: (inout Arena) throws(Fault) -> Record) throws(Fault) -> SourceTerms {
    let (memory, record) = try unsafe Arena.make(behind: size, build)
    let place = unsafe memory.assumingMemoryBound(to: Record.self)
    unsafe place.initialize(to: record)
    return unsafe SourceTerms(record: place)
  }

  func destroy() { unsafe Memory.release(record) }

  var kind: RefreshSource { unsafe record.pointee.kind }
  var settings: RefreshSettings { unsafe record.pointee.settings }
  var target: SourceTarget { unsafe record.pointee.target }
  var isLazy: Bool { unsafe record.pointee.isLazy }
  var validUntil: Int64 { unsafe record.pointee.validUntil }

  var file: Bytes { unsafe record.pointee.file }

  /// Whether the same is asked for in the same way, however often.
  func asksLike(_ other: SourceTerms) -> Bool {
    kind == other.kind && file == other.file && target.asksLike(other.target)
  }

  private static var size: Int { (MemoryLayout<Record>.size &+ 63) & ~63 }
}
