/// The octets that make a key, out of Base64url: `n` and `e`, `x` and `y`, `x`, `pub` or `k`. They stand in the
/// scratch room that they were decoded into.
struct KeyMaterial {
  let kind: KeyKind
  let first: Bytes
  let second: Bytes
  /// Whether it took a reading that the RFC does not allow, but issuers need.
  let lenient: Bool

  init(_ jwk: JWK, _ kind: KeyKind, _ firstRoom: Room, _ secondRoom: Room) throws(KeyFault) {
    var reader = MemberReader(jwk: jwk)
    self.kind = kind
    switch kind {
    case .rsa:
      first = try reader.number("n", into: firstRoom)
      second = try reader.number("e", into: secondRoom)
    case .p256, .p384, .p521, .secp256k1:
      first = try reader.coordinate("x", kind.octets, into: firstRoom)
      second = try reader.coordinate("y", kind.octets, into: secondRoom)
    case .ed25519, .ed448:
      first = try reader.coordinate("x", kind.octets, into: firstRoom)
      second = .empty
    case .mlDSA44, .mlDSA65, .mlDSA87:
      first = try reader.octets("pub", into: firstRoom)
      second = .empty
      guard first.count == kind.octets else { throw .badMember }
    case .oct:
      first = try reader.octets("k", into: firstRoom)
      second = .empty
    }
    lenient = reader.lenient
  }

  /// Of the RSA modulus, the curve or the secret.
  var bits: UInt32 {
    switch kind {
    case .rsa:
      let octets = UInt32(truncatingIfNeeded: first.count)
      return octets &* 8 &- UInt32(truncatingIfNeeded: (first.byte(at: 0) ?? 0).leadingZeroBitCount)
    case .oct: return UInt32(truncatingIfNeeded: first.count &* 8)
    default: return kind.bits
    }
  }

  /// Which of the algorithms a key of this value serves, as far as libcrypto does not look itself.
  func check(_ algorithms: AlgorithmSet) throws(KeyFault) -> AlgorithmSet {
    switch kind {
    case .rsa:
      try checkRSA()
      return algorithms
    case .oct:
      return try checkSecret(algorithms)
    default:
      return algorithms
    }
  }

  /// RFC 7518 section 3.2: a secret is at least as long as the hash.
  private func checkSecret(_ algorithms: AlgorithmSet) throws(KeyFault) -> AlgorithmSet {
    var served = AlgorithmSet.none
    var rest = algorithms.members
    while let algorithm = rest.next() {
      guard (algorithm.digest?.octets ?? 0) <= first.count else { continue }
      served.insert(algorithm)
    }
    guard !served.isEmpty else { throw .tooWeak }
    return served
  }

  /// Whether its thumbprint can be published: a short secret could be guessed from it.
  var isStrong: Bool { kind != .oct || first.count >= 32 }

  /// RFC 7518 section 3.3; the upper bounds keep the cost of a verification within bounds.
  private func checkRSA() throws(KeyFault) {
    guard bits >= 2048 else { throw .tooWeak }
    guard bits <= 16384, second.count <= 8 else { throw .tooLarge }
    let isOne = second.count == 1 && second.byte(at: 0) == 1
    guard isOdd(first), isOdd(second), !isOne else { throw .badValue }
  }

  private func isOdd(_ number: Bytes) -> Bool { (number.byte(at: number.count &- 1) ?? 0) & 1 == 1 }
}

private struct MemberReader {
  let jwk: JWK
  var lenient = false

  init(jwk: JWK) { self.jwk = jwk }

  /// n or e: padding, the standard alphabet and one leading zero octet are read too (RFC 7518 section 6.3.1.1
  /// warns of the last).
  mutating func number(_ name: StaticString, into room: Room) throws(KeyFault) -> Bytes {
    let text = try jwk.text(name)
    guard text.count <= MemberReader.longestNumber else { throw .tooLarge }
    let octets = try decode(text, into: room)
    guard octets.count > 1, octets.byte(at: 0) == 0 else { return octets }
    lenient = true
    guard octets.byte(at: 1) != 0 else { throw .badMember }
    return octets.slice(from: 1)
  }

  /// x or y: of one length (RFC 7518 section 6.2.1.2, RFC 8037 section 2), and without padding.
  mutating func coordinate(_ name: StaticString, _ length: Int, into room: Room) throws(KeyFault) -> Bytes {
    let text = try jwk.text(name)
    guard text.count == length / 3 &* 4 &+ (length % 3 &* 4 &+ 2) / 3 else { throw .badMember }
    return try decode(text, into: room)
  }

  /// Strictly.
  func octets(_ name: StaticString, into room: Room) throws(KeyFault) -> Bytes {
    guard let count = Base64URL.decode(try jwk.text(name), into: room) else { throw .badMember }
    return room.bytes(count)
  }

  private mutating func decode(_ text: Bytes, into room: Room) throws(KeyFault) -> Bytes {
    guard let (count, lenient) = Base64URL.decodeLenient(text, into: room), count > 0 else {
      throw .badMember
    }
    guard !lenient || jwk.saysAll else { throw .badMember }
    self.lenient = self.lenient || lenient
    return room.bytes(count)
  }

  /// 16,384 bits and a leading zero octet.
  private static var longestNumber: Int { 2732 }
}
