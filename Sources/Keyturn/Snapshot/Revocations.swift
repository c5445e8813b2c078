/// All that is revoked of one issuer. It never changes; a change gives another one.
///
/// The handle is a borrowed pointer; `retain` and `release` say who holds it: snapshots, never readers. Whether a
/// revocation is over is asked at each look, by the clock of whoever looks; those that are over stay until they
/// are swept out.
@safe struct Revocations {
  private struct Record: ~Copyable {
    let holders = Holders()
    let key: HashKey
    let parts: Parts
  }

  private struct Parts {
    var values = RevocationTree.empty
    var dates = RevocationTree.empty
    var count = 0
    var dateCount = 0
    var sweepAt = Revocations.fewest
    var areUnknown = false

    /// As long as nobody else has seen the trees.
    mutating func add(_ revocation: Revocation) throws(Status) {
      let isDate = revocation.name.kind == .issuedBefore
      let tree = isDate ? dates : values
      let larger = try tree.with(revocation, isUnseen: true)
      tree.release()
      if isDate { dates = larger } else { values = larger }
    }

    mutating func addUndurable(of old: Revocations?) throws(Status) {
      var failure: Status?
      old?.visit { revocation in
        guard failure == nil, !revocation.isDurable else { return }
        do throws(Status) { try add(revocation) } catch { failure = error }
      }
      if let failure { throw failure }
    }
  }

  private let record: UnsafeMutablePointer<Record>

  /// Dates are looked at one by one, so they are few.
  static var mostDates: Int { 16 }
  /// As few as this are never worth sweeping.
  private static var fewest: Int { 64 }

  func retain() { unsafe record.pointee.holders.retain() }

  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    parts.values.release()
    parts.dates.release()
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }

  /// Those that are over and not yet swept out included.
  var count: Int { parts.count }
  var dateCount: Int { parts.dateCount }
  /// So many have come since the last sweep that the next is paid for.
  var isDueForSweep: Bool { parts.count >= parts.sweepAt }

  /// What is revoked could not be read: there may be more than these, so that nothing may be accepted.
  var areUnknown: Bool { parts.areUnknown }

  // MARK: - What a verification asks

  /// Whether this value is revoked. Allocates nothing.
  func revoke(_ kind: RevocationKind, _ value: Bytes, at now: Int64) -> Bool {
    guard !parts.values.isEmpty, !value.isEmpty else { return false }
    let name = unsafe RevocationName(kind, value, key: record.pointee.key)
    guard let found = parts.values.find(name) else { return false }
    return !found.isOver(at: now)
  }

  /// The same by the hash of its name, of which two names have one in 2^64 cases.
  func revoke(hash: UInt64, at now: Int64) -> Bool { parts.values.has(hash, at: now) }

  /// Whether a key is.
  func revoke(thumbprint: Bytes, kid: Bytes, at now: Int64) -> Bool {
    revoke(.thumbprint, thumbprint, at: now) || revoke(.kid, kid, at: now)
  }

  /// Whether tokens issued then are revoked; one that does not say when is, by any date.
  func revokeIssue(at issued: NumericDate?, at now: Int64) -> Bool {
    var revoked = false
    parts.dates.visit { date in
      guard !date.isOver(at: now) else { return }
      revoked = revoked || issued.map { $0.seconds < date.name.date } ?? true
    }
    return revoked
  }

  // MARK: - What a control call asks

  func find(_ name: RevocationName) -> Revocation? { tree(of: name.kind).find(name) }

  @inline(never)
  func visit(_ body: (Revocation) -> Void) {
    parts.values.visit(body)
    parts.dates.visit(body)
  }

  func overdue(at now: Int64) -> Int {
    var count = 0
    visit { revocation in if revocation.isOver(at: now) { count &+= 1 } }
    return count
  }

  // MARK: - Others, held by the caller

  /// `old`, or nothing, with this one, in place of one of the same name.
  static func with(_ revocation: Revocation, _ old: Revocations?) throws(Status) -> Revocations {
    let isNew = old?.find(revocation.name) == nil
    return try make(from: old, revocation.name.kind, change: isNew ? 1 : 0) { (tree) throws(Status) in
      try tree.with(revocation)
    }
  }

  /// Without the one of this name, which is there.
  func without(_ name: RevocationName) throws(Status) -> Revocations {
    try Revocations.make(from: self, name.kind, change: -1) { (tree) throws(Status) in try tree.without(name)
    }
  }

  /// Without those that are over.
  func swept(at now: Int64) throws(Status) -> Revocations {
    var parts = parts
    if overdue(at: now) == 0 {
      parts.values.retain()
      parts.dates.retain()
    } else {
      try Revocations.sweep(&parts, at: now)
    }
    parts.dateCount = parts.dates.count
    parts.count = parts.values.count &+ parts.dateCount
    parts.sweepAt = max(Revocations.fewest, parts.count &* 2)
    return try Revocations.make(parts)
  }

  /// What is in the file, and of `old` what is not yet in any: that is in force here, and the later word.
  static func merged(_ file: RevocationFile, _ old: Revocations?) throws(Status) -> Revocations {
    var parts = Parts()
    do throws(Status) {
      try file.visit { (entry) throws(Status) in
        let revocation = try revocation(of: entry, old)
        defer { revocation.release() }
        try parts.add(revocation)
      }
      guard parts.values.count &+ parts.dates.count == file.count else { throw .invalidDocument }
      try parts.addUndurable(of: old)
    } catch {
      parts.values.release()
      parts.dates.release()
      throw error
    }
    parts.dateCount = parts.dates.count
    parts.count = parts.values.count &+ parts.dateCount
    parts.sweepAt = max(fewest, parts.count &* 2)
    return try make(parts)
  }

  /// The same one where nothing has changed, so that what many processes revoke is copied once.
  private static func revocation(
    of entry: RevocationFile.Entry, _ old: Revocations?
  ) throws(Status) -> Revocation {
    let known = old?.find(entry.name)
    let isSame = known?.until == entry.until
    if isSame { known?.retain() }
    let revocation =
      if isSame, let known { known } else { try Revocation.make(entry.name, until: entry.until) }
    revocation.setDurable()
    return revocation
  }

  /// `known`, or nothing, and whether there may be more.
  static func told(_ known: Revocations?, areUnknown: Bool) throws(Status) -> Revocations {
    var parts = known?.parts ?? Parts()
    parts.values.retain()
    parts.dates.retain()
    parts.areUnknown = areUnknown
    return try make(parts)
  }

  private static func sweep(_ parts: inout Parts, at now: Int64) throws(Status) {
    let values = try parts.values.current(at: now)
    do throws(Status) { parts.dates = try parts.dates.current(at: now) } catch {
      values.release()
      throw error
    }
    parts.values = values
  }

  private static func make(
    from old: Revocations?, _ kind: RevocationKind, change: Int,
    _ changed: (RevocationTree) throws(Status) -> RevocationTree
  ) throws(Status) -> Revocations {
    var parts = old?.parts ?? Parts()
    parts.count &+= change
    if kind == .issuedBefore {
      parts.dateCount &+= change
      parts.dates = try changed(parts.dates)
      parts.values.retain()
    } else {
      parts.values = try changed(parts.values)
      parts.dates.retain()
    }
    return try make(parts)
  }

  /// Takes the trees over.
  private static func make(_ parts: Parts) throws(Status) -> Revocations {
    do throws(Status) {
      let key = try HashKey.process
      let memory = try unsafe Memory.allocate(MemoryLayout<Record>.size)
      let record = unsafe memory.assumingMemoryBound(to: Record.self)
      unsafe record.initialize(to: Record(key: key, parts: parts))
      return unsafe Revocations(record: record)
    } catch {
      parts.values.release()
      parts.dates.release()
      throw error
    }
  }

  private var parts: Parts { unsafe record.pointee.parts }

  private func tree(of kind: RevocationKind) -> RevocationTree {
    kind == .issuedBefore ? parts.dates : parts.values
  }
}
