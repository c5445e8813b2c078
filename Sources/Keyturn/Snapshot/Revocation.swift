internal import Synchronization

/// What a revocation is about; the numbers are those of `jwks_revocation_kind` in keyturn.h.
enum RevocationKind: UInt32 {
  case thumbprint = 1
  case kid = 2
  case jti = 3
  case subject = 4
  case issuedBefore = 5
}

/// Which revocation: two of one name are the same.
struct RevocationName {
  let kind: RevocationKind
  /// Empty for `issuedBefore`.
  let value: Bytes
  /// Of `issuedBefore`: tokens issued before it are refused. Otherwise 0.
  let date: Int64
  /// Keyed, so that nobody outside can choose collisions.
  let hash: UInt64

  init(_ kind: RevocationKind, _ value: Bytes, date: Int64 = 0, key: HashKey) {
    var hash = SipHash(key: key)
    hash.absorb(word: UInt64(kind.rawValue))
    hash.absorb(word: UInt64(bitPattern: date))
    hash.absorb(last: value)
    self.init(kind, value, date: date, hash: hash.finish())
  }

  init(_ kind: RevocationKind, _ value: Bytes, date: Int64, hash: UInt64) {
    self.kind = kind
    self.value = value
    self.date = date
    self.hash = hash
  }

  /// 0 for a value that cannot be revoked.
  static func hash(_ kind: RevocationKind, _ value: Bytes?, _ key: HashKey) -> UInt64 {
    guard let value, !value.isEmpty else { return 0 }
    return RevocationName(kind, value, key: key).hash
  }

  static func == (left: RevocationName, right: RevocationName) -> Bool {
    left.hash == right.hash && left.kind == right.kind && left.date == right.date && left.value == right.value
  }
}

/// One revocation: a block of raw memory, written once and then only read, but for the count of its holders and
/// whether it is durable, which no verification asks.
@safe struct Revocation {
  private struct Record: ~Copyable {
    let holders = Holders()
    let isDurable = Atomic<Bool>(false)
    let name: RevocationName
    let until: Int64
  }

  private let record: UnsafeMutablePointer<Record>

  /// One holder: the caller. The value is copied.
  static func make(_ name: RevocationName, until: Int64) throws(Status) -> Revocation {
    let start = MemoryLayout<Record>.stride
    let memory = try unsafe Memory.allocate(start &+ name.value.count)
    let room = unsafe Room((memory + start).assumingMemoryBound(to: UInt8.self), count: name.value.count)
    room.copy(name.value, at: 0)
    let own = RevocationName(name.kind, room.bytes(name.value.count), date: name.date, hash: name.hash)
    let record = unsafe memory.assumingMemoryBound(to: Record.self)
    unsafe record.initialize(to: Record(name: own, until: until))
    return unsafe Revocation(record: record)
  }

  var name: RevocationName { unsafe record.pointee.name }
  /// Unix seconds; 0 for good.
  var until: Int64 { unsafe record.pointee.until }

  /// Whether it is in the store's file, as it is here.
  var isDurable: Bool { unsafe record.pointee.isDurable.load(ordering: .relaxed) }

  func setDurable() { unsafe record.pointee.isDurable.store(true, ordering: .relaxed) }

  func isOver(at now: Int64) -> Bool { until != 0 && now >= until }

  static func == (left: Revocation, right: Revocation) -> Bool { unsafe left.record == right.record }

  func retain() { unsafe record.pointee.holders.retain() }

  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }
}
