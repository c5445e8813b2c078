/// What became of a token: owned octets, so that it outlives the token and the key, and meant to be used
/// again. Only a token that was accepted leaves anything in it to read.
struct Verdict: ~Copyable {
  /// The largest token decoded, twice (its texts and their shadow), and what is copied beside them.
  private static var largest: Int { 2 << 20 }

  private var buffer: Buffer
  private(set) var refusal: Status? = .invalidArgument
  /// What is being looked at; after a refusal, what it is about.
  var place = Place("")
  /// Of a token that was accepted, if it is this one or an earlier one.
  private var last: Accepted?
  /// What a pending token waits for.
  private(set) var pending: Pending?

  /// The parts of a token, decoded into the verdict's memory.
  struct Opened {
    let header: Bytes
    let payload: Bytes
    let signature: Bytes
    let shadow: JSONShadow
    /// For what is copied beside them.
    let rest: Room
  }

  /// An issuer, which is held, and how many of its flights had ended before the look-up.
  struct Pending: ~Copyable {
    let issuer: Issuer
    let stamp: UInt64

    init(_ issuer: Issuer, stamp: UInt64) {
      issuer.retain()
      self.issuer = issuer
      self.stamp = stamp
    }

    deinit { issuer.release() }
  }

  /// What is told of an accepted token alone.
  struct Accepted {
    let opened: Opened
    let hasClaims: Bool
    let kid: Bytes
    let thumbprint: Bytes
    let issuer: Bytes
    let algorithm: Algorithm
    let expiry: Int64

    @inline(never)
    var header: JSONValue? { JSONValue(opened.header) }
    /// nil for a payload that is not claims.
    @inline(never)
    var claims: JSONValue? { hasClaims ? JSONValue(opened.payload) : nil }
  }

  @inline(never)
  var accepted: Accepted? { refusal == nil ? last : nil }

  init() { buffer = Buffer(maximum: Verdict.largest) }

  /// For texts beyond a policy's bounds.
  init(tokenLength: Int) {
    buffer = Buffer(maximum: Base64URL.decodedCount(tokenLength) &* 2 &+ Copies.largest)
  }

  mutating func clear() {
    refusal = .invalidArgument
    pending = nil
    place = Place("")
  }

  mutating func wait(for issuer: Issuer, stamp: UInt64) { pending = Pending(issuer, stamp: stamp) }

  mutating func refuse(_ reason: Status) { refusal = reason }

  @_optimize(speed)
  mutating func accept(
    _ opened: Opened, hasClaims: Bool, key: Key, issuer: Issuer, algorithm: Algorithm, expiry: Int64
  ) {
    var copies = Copies(room: opened.rest)
    last = Accepted(
      opened: opened, hasClaims: hasClaims, kid: copies.add(key.kid), thumbprint: copies.add(key.thumbprint),
      issuer: copies.add(issuer.name), algorithm: algorithm, expiry: expiry)
    refusal = nil
    place = Place("")
  }

  /// Decodes the three parts.
  mutating func open(_ jws: CompactJWS, tokenLength: Int) throws(Status) -> Opened {
    let decoded = try makeRoom(for: jws.signingInput, tokenLength)
    let room = buffer.room
    var used = 0
    let header = try decode(jws.header, "header", room, &used)
    let payload = try decode(jws.payload, "payload", room, &used)
    let signature = try decode(jws.signature, "signature", room, &used)
    return Opened(
      header: header, payload: payload, signature: signature,
      shadow: JSONShadow(text: room.bytes(used), room: room.slice(from: decoded, length: decoded)),
      rest: room.slice(from: decoded &* 2))
  }

  /// The same for a token whose header and payload, side by side, have been decoded before. Its signature is left out.
  mutating func open(_ token: Bytes, as texts: Bytes, header: Int) throws(Status) -> Opened {
    let decoded = try makeRoom(for: token, token.count)
    let room = buffer.room
    room.copy(texts, at: 0)
    let own = room.bytes(texts.count)
    return Opened(
      header: own.slice(from: 0, length: header), payload: own.slice(from: header), signature: .empty,
      shadow: JSONShadow(text: own, room: room.slice(from: decoded, length: decoded)),
      rest: room.slice(from: decoded &* 2))
  }

  /// How many octets are decoded at most. A token that stands in this very verdict would be overwritten while it is read.
  private mutating func makeRoom(for token: Bytes, _ length: Int) throws(Status) -> Int {
    guard token.offset(in: buffer.room.bytes(buffer.capacity)) == nil else { throw .invalidArgument }
    let decoded = Base64URL.decodedCount(length)
    try buffer.reserve(decoded &* 2 &+ Copies.largest)
    return decoded
  }

  @inline(__always)
  private mutating func decode(
    _ part: Bytes, _ name: StaticString, _ room: Room, _ used: inout Int
  ) throws(Status) -> Bytes {
    place = Place(name)
    let rest = room.slice(from: used)
    guard let count = Base64URL.decode(part, into: rest) else { throw .badBase64 }
    used &+= count
    return rest.bytes(count)
  }

  /// What stands in other records, which may go before the verdict does.
  private struct Copies {
    /// A kid that an issuer published, a thumbprint, and an issuer's name.
    static var largest: Int { Key.longestKid &+ 64 &+ 1_024 }

    let room: Room
    var used = 0

    mutating func add(_ bytes: Bytes) -> Bytes {
      let rest = room.slice(from: used)
      rest.copy(bytes, at: 0)
      used &+= bytes.count
      return rest.bytes(bytes.count)
    }
  }
}
