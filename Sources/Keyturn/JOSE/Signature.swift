internal import COpenSSL

/// One signature against one key (RFC 7515 section 5.2, step 8): the length first, then libcrypto.
extension Key {
  /// Returns if `signature` is the key's over `input`. What libcrypto could not do for want of memory is
  /// `cryptoFailure`, not `badSignature`.
  func verify(
    _ algorithm: Algorithm, input: Bytes, signature: Bytes, keeping contexts: KeptContexts
  ) throws(Status) {
    guard algorithms.contains(algorithm) else { throw .keyMismatch }
    guard signature.count == signatureLength(algorithm) else { throw .badSignature }
    guard Libcrypto.isAlive else { throw .cryptoFailure }
    let isGenuine =
      switch algorithm.family {
      case .hmac: isHMAC(signature, algorithm, input)
      case .ecdsa: try isECDSA(signature, algorithm, input, contexts)
      case .rsa, .rsaPSS, .edwards, .mlDSA: try isAsymmetric(signature, .empty, algorithm, input, contexts)
      }
    guard isGenuine else { throw .badSignature }
  }

  /// The one length that a signature by this key has in a JWS.
  private func signatureLength(_ algorithm: Algorithm) -> Int {
    switch kind {
    case .rsa: Int(bits &+ 7) / 8
    case .p256, .p384, .p521, .secp256k1: 2 &* kind.octets
    case .ed25519: 64
    case .ed448: 114
    case .oct: algorithm.digest?.octets ?? 0
    case .mlDSA44: 2420
    case .mlDSA65: 3309
    case .mlDSA87: 4627
    }
  }

  @inline(never)
  private func isAsymmetric(
    _ signature: Bytes, _ pair: Bytes, _ algorithm: Algorithm, _ input: Bytes, _ contexts: KeptContexts
  ) throws(Status) -> Bool {
    let errors = ErrorQueue.mark()
    defer { errors.restore() }
    do throws(Status) {
      let context = try contexts.context(of: self, algorithm)
      if try context.isGenuine(signature, pair: pair, over: input, by: self) { return true }
      guard errors.tellNoMemory() else { return false }
    } catch {}
    contexts.drop(self, algorithm)
    throw .cryptoFailure
  }

  /// A JWS has r and s side by side (RFC 7518 section 3.4); EVP takes them in DER.
  private func isECDSA(
    _ signature: Bytes, _ algorithm: Algorithm, _ input: Bytes, _ contexts: KeptContexts
  ) throws(Status) -> Bool {
    var memory = InlineArray<144, UInt8>(repeating: 0)
    return try memory.withRoom { room throws(Status) in
      try isAsymmetric(DERSignature.write(signature, into: room), signature, algorithm, input, contexts)
    }
  }

  private func isHMAC(_ signature: Bytes, _ algorithm: Algorithm, _ input: Bytes) -> Bool {
    guard let states = hmacStates, let digest = algorithm.digest else { return false }
    var memory = InlineArray<64, UInt8>(repeating: 0)
    return memory.withRoom { tag in
      states.write(digest, of: input, into: tag)
      return unsafe CRYPTO_memcmp(tag.pointer, signature.pointer, signature.count) == 0
    }
  }
}

/// ECDSA-Sig-Value (RFC 3279 section 2.2.3) of two numbers of equal length, P-521's at most.
private enum DERSignature {
  static func write(_ pair: Bytes, into room: Room) -> Bytes {
    let half = pair.count / 2
    let r = magnitude(pair.slice(from: 0, length: half))
    let s = magnitude(pair.slice(from: half))
    let length = encodedLength(r) &+ encodedLength(s)
    var end = 0
    put(0x30, in: room, &end)
    if length > 127 { put(0x81, in: room, &end) }
    put(UInt8(truncatingIfNeeded: length), in: room, &end)
    put(integer: r, in: room, &end)
    put(integer: s, in: room, &end)
    return room.bytes(end)
  }

  /// Without leading zeros, but for the zero of 0 itself.
  private static func magnitude(_ number: Bytes) -> Bytes {
    var start = 0
    while start < number.count &- 1, number.byte(at: start) == 0 { start &+= 1 }
    return number.slice(from: start)
  }

  /// Whether it would read as negative.
  private static func needsZero(_ number: Bytes) -> Bool { (number.byte(at: 0) ?? 0) > 0x7f }

  private static func encodedLength(_ number: Bytes) -> Int {
    2 &+ number.count &+ (needsZero(number) ? 1 : 0)
  }

  private static func put(integer number: Bytes, in room: Room, _ end: inout Int) {
    put(0x02, in: room, &end)
    put(UInt8(truncatingIfNeeded: encodedLength(number) &- 2), in: room, &end)
    if needsZero(number) { put(0, in: room, &end) }
    room.copy(number, at: end)
    end &+= number.count
  }

  private static func put(_ octet: UInt8, in room: Room, _ end: inout Int) {
    room.set(octet, at: end)
    end &+= 1
  }
}
