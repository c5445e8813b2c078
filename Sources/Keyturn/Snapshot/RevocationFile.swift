/// The revocations of one issuer as they stand in a file:
///
///     sequence · count · length of the issuer's name · name · entries
///     entry: length of the value and, in the lowest octet, kind · date · until · value
///
/// Numbers are words of eight octets, the lowest first. Each writer's sequence is above the one that was there
/// before, so that of two contents one is known to be the later. What is not exactly of this form is not read at all.
struct RevocationFile {
  let sequence: UInt64
  let count: Int
  private let entries: Bytes

  private static var start: Int { 24 }
  private static var head: Int { 24 }
  /// Of an issuer.
  private static var longestName: Int { 1_024 }
  private static var longestValue: Int { 4_096 }
  private static var highestSequence: UInt64 { 1 &<< 62 }

  struct Entry {
    let name: RevocationName
    let until: Int64
  }

  // MARK: - Reading

  init(_ content: Bytes, of issuer: Bytes) throws(Status) {
    guard let sequence = content.word(at: 0), sequence < RevocationFile.highestSequence,
      let count = content.word(at: 8), count <= UInt64(truncatingIfNeeded: content.count),
      content.word(at: 16) == UInt64(truncatingIfNeeded: issuer.count),
      content.slice(from: RevocationFile.start, length: issuer.count) == issuer
    else { throw .invalidDocument }
    self.sequence = sequence
    self.count = Int(truncatingIfNeeded: count)
    entries = content.slice(from: RevocationFile.start &+ issuer.count)
    var found = 0
    try visit { _ in found &+= 1 }
    guard found == self.count else { throw .invalidDocument }
  }

  func visit(_ body: (Entry) throws(Status) -> Void) throws(Status) {
    let key = try HashKey.process
    var position = 0
    while position < entries.count {
      guard let (entry, end) = entry(at: position, key) else { throw .invalidDocument }
      try body(entry)
      position = end
    }
  }

  private func entry(at position: Int, _ key: HashKey) -> (Entry, end: Int)? {
    guard let word = entries.word(at: position), let date = entries.word(at: position &+ 8),
      let until = entries.word(at: position &+ 16),
      let kind = RevocationKind(rawValue: UInt32(truncatingIfNeeded: word & 0xff)),
      Int(truncatingIfNeeded: word &>> 8) <= RevocationFile.longestValue
    else { return nil }
    let length = Int(truncatingIfNeeded: word &>> 8)
    let value = entries.slice(from: position &+ RevocationFile.head, length: length)
    let name = RevocationName(kind, value, date: Int64(bitPattern: date), key: key)
    let entry = Entry(name: name, until: Int64(bitPattern: until))
    guard value.count == length, entry.isSound else { return nil }
    return (entry, position &+ RevocationFile.head &+ length)
  }

  // MARK: - Writing

  /// What comes after another one, whoever writes it, also where files have been taken away in between.
  static func sequence(after other: UInt64, at time: Int64) -> UInt64 {
    max(other &+ 1, (UInt64(truncatingIfNeeded: time) & 0xff_ffff_ffff) &<< 20)
  }

  /// How many octets the content takes at most with so many of them.
  static func size(ofAtMost count: Int) -> Int { start &+ longestName &+ count &* (head &+ longestValue) }

  /// How many octets the content takes. What is over by `now` is left out of it.
  static func size(of revocations: Revocations?, issuer: Bytes, now: Int64) -> Int {
    var size = start &+ issuer.count
    revocations?.visit { if !$0.isOver(at: now) { size &+= head &+ $0.name.value.count } }
    return size
  }

  /// Into room of that size.
  static func write(
    _ revocations: Revocations?, sequence: UInt64, issuer: Bytes, now: Int64, into room: Room
  ) {
    var position = start &+ issuer.count
    var count: UInt64 = 0
    revocations?.visit { revocation in
      guard !revocation.isOver(at: now) else { return }
      let name = revocation.name
      room.set(
        word: UInt64(truncatingIfNeeded: name.value.count) &<< 8 | UInt64(name.kind.rawValue), at: position)
      room.set(word: UInt64(bitPattern: name.date), at: position &+ 8)
      room.set(word: UInt64(bitPattern: revocation.until), at: position &+ 16)
      room.copy(name.value, at: position &+ head)
      position &+= head &+ name.value.count
      count &+= 1
    }
    room.set(word: sequence, at: 0)
    room.set(word: count, at: 8)
    room.set(word: UInt64(truncatingIfNeeded: issuer.count), at: 16)
    room.copy(issuer, at: start)
  }
}

extension RevocationFile.Entry {
  /// As `jwks_cache_revoke` would take it.
  fileprivate var isSound: Bool {
    let isDate = name.kind == .issuedBefore
    return until >= 0 && name.value.isEmpty == isDate && (isDate ? name.date > 0 : name.date == 0)
      && (name.kind != .thumbprint || Thumbprint.isOne(name.value))
  }
}
