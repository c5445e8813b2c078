/// What has happened, for a person or a log. The numbers are those of `jwks_event_kind` in keyturn.h, whose comments say
/// what each means.
enum EventKind: UInt8, BitwiseCopyable {
  case issuerAdded = 1
  case issuerRemoved = 2
  case keysChanged = 3
  case disjointSet = 4
  case keysLeftOut = 5
  case privateKey = 6
  case duplicateKids = 7
  case revokedKey = 8
  case fetchFailed = 9
  case recovered = 10
  case stale = 11
  case expired = 12
  case emptiedHeld = 13
  case emptiedObeyed = 14
  case regressedHeld = 15
  case missesRefused = 16
  case missesRise = 17
  case revoked = 18
  case unrevoked = 19
  case endNear = 20
  case storeRefused = 21
  case revocationsUnknown = 22
  case storeUnwritten = 23
  case storeGone = 24
  case agentSilent = 25
  case unwatched = 26
  case storeSound = 27
}

struct Event: BitwiseCopyable {
  let kind: EventKind
  var reason: UInt32 = 0
  var count: UInt64 = 1
  var removed: UInt64 = 0
  /// By the steady clock.
  var time: Int64 = 0

  init(_ kind: EventKind, reason: UInt32 = 0, count: UInt64 = 1, removed: UInt64 = 0) {
    self.kind = kind
    self.reason = reason
    self.count = count
    self.removed = removed
  }
}

/// Events that wait to be pulled, oldest first, one behind the other in a ring of octets whose memory is taken once, so
/// that what happens without memory is told, too. Where there is no room the new one is dropped and counted. Under the
/// control lock.
struct Journal: ~Copyable {
  /// Before the texts of each.
  private struct Head: BitwiseCopyable {
    var event: Event
    var issuer: UInt16
    var kid: UInt16
    var thumbprint: UInt16

    var count: Int { MemoryLayout<Head>.size &+ Int(issuer) &+ Int(kid) &+ Int(thumbprint) }
  }

  /// Room for the texts of an event, each with its NUL.
  struct Texts {
    let issuer: Room
    let kid: Room
    let thumbprint: Room
  }

  private let memory: Buffer
  private let maximum: Int
  private var count = 0
  /// Where the oldest begins, and how many octets wait.
  private var start = 0
  private var used = 0
  /// In all, and as they were when an event was last taken.
  private(set) var dropped: UInt64 = 0
  private var told: UInt64 = 0

  /// Enough for one event with the longest names.
  private static var least: Int { 2_048 }

  init(maximum: Int) throws(Status) {
    self.maximum = maximum
    memory = try Buffer.of(max(Journal.least, maximum &* 128))
  }

  @inline(never)
  mutating func tell(_ event: Event, at now: Int64, of issuer: Bytes, _ key: Key?) {
    // A kid that no log should show is left out, and so is what tells of a secret: the one is known by the other.
    let kid = key.map { $0.kid.isPlainText && $0.kid.count < 256 ? $0.kid : .empty } ?? .empty
    let thumbprint = key.map { $0.secret.isEmpty ? $0.thumbprint : .empty } ?? .empty
    var head = Head(
      event: event, issuer: UInt16(clamping: issuer.count), kid: UInt16(clamping: kid.count),
      thumbprint: UInt16(clamping: thumbprint.count))
    head.event.time = now
    guard count < maximum, head.count <= memory.capacity &- used else {
      dropped &+= 1
      return
    }
    unsafe withUnsafeBytes(of: &head) { octets in
      unsafe push(Bytes(octets.baseAddress?.assumingMemoryBound(to: UInt8.self), count: octets.count))
    }
    push(issuer)
    push(kid)
    push(thumbprint)
    count &+= 1
  }

  /// The oldest; and how many were dropped since the one before it was taken.
  mutating func take(_ texts: Texts) -> (event: Event, dropped: UInt64)? {
    guard count > 0 else { return nil }
    var head = Head(event: Event(.issuerAdded), issuer: 0, kid: 0, thumbprint: 0)
    unsafe withUnsafeMutableBytes(of: &head) { octets in
      let room = unsafe Room(octets.baseAddress?.assumingMemoryBound(to: UInt8.self), count: octets.count)
      pop(octets.count, into: room)
    }
    take(Int(head.issuer), into: texts.issuer)
    take(Int(head.kid), into: texts.kid)
    take(Int(head.thumbprint), into: texts.thumbprint)
    count &-= 1
    defer { told = dropped }
    return (head.event, dropped &- told)
  }

  private mutating func take(_ count: Int, into room: Room) {
    pop(count, into: room)
    room.set(0, at: min(count, room.count &- 1))
  }

  /// In two pieces where the ring ends between them.
  private mutating func push(_ bytes: Bytes) {
    let end = (start &+ used) % max(1, memory.capacity)
    let first = min(bytes.count, memory.capacity &- end)
    memory.room.copy(bytes.slice(from: 0, length: first), at: end)
    memory.room.copy(bytes.slice(from: first), at: 0)
    used &+= bytes.count
  }

  private mutating func pop(_ count: Int, into room: Room) {
    let first = min(count, memory.capacity &- start)
    let octets = memory.room.bytes(memory.capacity)
    room.copy(octets.slice(from: start, length: first), at: 0)
    room.copy(octets.slice(from: 0, length: count &- first), at: first)
    start = (start &+ count) % max(1, memory.capacity)
    used &-= count
  }
}

/// By which one issuer's events get into the journal.
@safe struct Teller {
  private let journal: UnsafeMutablePointer<Journal>?
  private let name: Bytes
  /// As the tallies have it.
  let issuer: UInt64

  static var none: Teller { unsafe Teller(nil, name: .empty, issuer: 0) }

  @unsafe init(_ journal: UnsafeMutablePointer<Journal>?, name: Bytes, issuer: UInt64) {
    unsafe self.journal = unsafe journal
    self.name = name
    self.issuer = issuer
  }

  func tell(_ event: Event, at now: Int64, _ key: Key? = nil) {
    unsafe journal?.pointee.tell(event, at: now, of: name, key)
  }
}
