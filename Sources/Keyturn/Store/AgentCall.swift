/// What a reader tells the process that fetches for it: a datagram of 42 octets, a version, what it is about, SHA-256 of
/// the issuer, and for a missed kid a hash of it by a key that only the reader has. Nothing in it is believed: it counts
/// as much as a token here would.
struct AgentCall: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    /// Tokens come for the issuer.
    case named = 1
    /// No key is served.
    case asked = 2
    case missed = 3
    case badSignature = 4
    case byOperator = 5
  }

  let kind: Kind
  let issuer: IssuerDigest
  /// 0 for none.
  let kid: UInt64

  private static var version: UInt8 { 1 }
  private static var kidStart: Int { 2 &+ SHA256.length }
  private static var length: Int { kidStart &+ 8 }
  typealias Octets = InlineArray<42, UInt8>

  init(_ kind: Kind, _ issuer: IssuerDigest, kid: UInt64) {
    self.kind = kind
    self.issuer = issuer
    self.kid = kid
  }

  /// Nil for what is none.
  init?(_ octets: Bytes) {
    guard octets.count == AgentCall.length, octets.byte(at: 0) == AgentCall.version,
      let kind = octets.byte(at: 1).flatMap({ Kind(rawValue: $0) }),
      let issuer = IssuerDigest(octets.slice(from: 2, length: SHA256.length)),
      let kid = octets.word(at: AgentCall.kidStart)
    else { return nil }
    self.init(kind, issuer, kid: kid)
  }

  func write(into room: Room) {
    room.set(AgentCall.version, at: 0)
    room.set(kind.rawValue, at: 1)
    issuer.write(into: room, at: 2)
    room.set(word: kid, at: AgentCall.kidStart)
  }
}

/// SHA-256 of an issuer's name.
struct IssuerDigest: BitwiseCopyable, Equatable {
  private let first, second, third, fourth: UInt64

  init?(_ octets: Bytes) {
    guard let first = octets.word(at: 0), let second = octets.word(at: 8), let third = octets.word(at: 16),
      let fourth = octets.word(at: 24)
    else { return nil }
    (self.first, self.second, self.third, self.fourth) = (first, second, third, fourth)
  }

  static func of(_ name: Bytes) throws(Status) -> IssuerDigest {
    var octets = InlineArray<32, UInt8>(repeating: 0)
    return try octets.withRoom { room throws(Status) in
      try SHA256.write(name, into: room)
      guard let digest = IssuerDigest(room.bytes(SHA256.length)) else { throw .cryptoFailure }
      return digest
    }
  }

  func write(into room: Room, at start: Int) {
    room.set(word: first, at: start)
    room.set(word: second, at: start &+ 8)
    room.set(word: third, at: start &+ 16)
    room.set(word: fourth, at: start &+ 24)
  }
}
