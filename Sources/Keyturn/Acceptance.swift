/// What an issuer's key set must be, and how keys leave it: made from options, whole in one block, and never
/// changed. The handle is a borrowed pointer; the issuer is its one owner.
@safe struct Acceptance {
  struct Terms {
    let rules: KeyRules
    let maximumDocument: Int
    /// How long a key that has left is trusted still, in milliseconds.
    var grace: Int64 = 0
    /// Whose signature a document needs; nil for none. Held.
    var signers: KeySet?
  }

  private let record: UnsafeMutablePointer<Terms>

  /// Takes over the terms' signers unless it fails. `terms` builds the terms with all that they point to in the
  /// arena that it is given.
  static func make(_ terms: (inout Arena) throws(Fault) -> Terms) throws(Fault) -> Acceptance {
    let (memory, built) = try unsafe Arena.make(behind: size, terms)
    unsafe memory.assumingMemoryBound(to: Terms.self).initialize(to: built)
    return unsafe Acceptance(record: memory.assumingMemoryBound(to: Terms.self))
  }

  var terms: Terms { unsafe record.pointee }

  func destroy() {
    terms.signers?.release()
    unsafe Memory.release(record)
  }

  private static var size: Int { (MemoryLayout<Terms>.size &+ 63) & ~63 }
}
