internal import COpenSSL

/// One signature against one key (RFC 7515 section 5.2, step 8): the length first, then libcrypto.
extension Key {
  /// Returns if `signature` is the key's over `input`. What libcrypto could not do for want of memory is
  /// `cryptoFailure`, not `badSignature`.
  func verify(_ algorithm: Algorithm, input: Bytes, signature: Bytes) throws(Status) {
    guard algorithms.contains(algorithm) else { throw .keyMismatch }
    guard signature.count == signatureLength(algorithm) else { throw .badSignature }
    guard Libcrypto.isAlive else { throw .cryptoFailure }
    let errors = ErrorQueue.mark()
    defer { errors.restore() }
    let isGenuine =
      switch algorithm.family {
      case .hmac: try verifyHMAC(algorithm, input, signature)
      case .ecdsa: try verifyECDSA(algorithm, input, signature)
      case .rsa, .rsaPSS, .edwards, .mlDSA: try verifyAsymmetric(algorithm, input, signature)
      }
    guard isGenuine else { throw errors.tellNoMemory() ? .cryptoFailure : .badSignature }
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

  private func verifyAsymmetric(
    _ algorithm: Algorithm, _ input: Bytes, _ signature: Bytes
  ) throws(Status) -> Bool {
    let context = try VerifyContext()
    try unsafe context.start(publicKey, algorithm)
    return context.isGenuine(signature, over: input)
  }

  /// A JWS has r and s side by side (RFC 7518 section 3.4); libcrypto takes them in DER.
  private func verifyECDSA(
    _ algorithm: Algorithm, _ input: Bytes, _ signature: Bytes
  ) throws(Status) -> Bool {
    var memory = InlineArray<144, UInt8>(repeating: 0)
    return try memory.withRoom { room throws(Status) in
      try verifyAsymmetric(algorithm, input, DERSignature.write(signature, into: room))
    }
  }

  private func verifyHMAC(_ algorithm: Algorithm, _ input: Bytes, _ signature: Bytes) throws(Status) -> Bool {
    guard let digest = algorithm.digest else { throw .cryptoFailure }
    var tag = InlineArray<64, UInt8>(repeating: 0)
    return try tag.withRoom { tag throws(Status) in
      let made = unsafe HMAC(
        digest.function, secret.pointer, Int32(truncatingIfNeeded: secret.count), input.pointer, input.count,
        tag.pointer, nil)
      guard unsafe made != nil else { throw .cryptoFailure }
      return unsafe CRYPTO_memcmp(made, signature.pointer, signature.count) == 0
    }
  }
}

extension Algorithm.Digest {
  fileprivate var function: OpaquePointer? {
    switch self {
    case .sha256: unsafe EVP_sha256()
    case .sha384: unsafe EVP_sha384()
    case .sha512: unsafe EVP_sha512()
    }
  }
}

/// The one owner of an EVP_MD_CTX: what a verification needs beside the key.
@safe private struct VerifyContext: ~Copyable {
  private let context: OpaquePointer

  init() throws(Status) {
    guard let context = unsafe EVP_MD_CTX_new() else { throw .cryptoFailure }
    unsafe self.context = context
  }

  deinit { unsafe EVP_MD_CTX_free(context) }

  @unsafe func start(_ publicKey: OpaquePointer?, _ algorithm: Algorithm) throws(Status) {
    let digest = unsafe algorithm.digest.map { unsafe CString.of($0.name) }
    var settings: OpaquePointer?
    guard unsafe EVP_DigestVerifyInit_ex(context, &settings, digest, nil, nil, publicKey, nil) == 1
    else { throw .cryptoFailure }
    guard algorithm.family == .rsaPSS else { return }
    // RFC 7518 section 3.5: the salt is as long as the hash, and MGF1 uses the same hash.
    guard unsafe EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1,
      unsafe EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1,
      unsafe EVP_PKEY_CTX_set_rsa_mgf1_md_name(settings, digest, nil) == 1
    else { throw .cryptoFailure }
  }

  func isGenuine(_ signature: Bytes, over input: Bytes) -> Bool {
    unsafe EVP_DigestVerify(context, signature.pointer, signature.count, input.pointer, input.count) == 1
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
