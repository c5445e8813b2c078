internal import COpenSSL

/// libcrypto's contexts for one key and one algorithm, ready for the next signature. Making them costs a good part of
/// what an RSA verification costs. Whoever has made them frees them.
@safe struct SignatureContext {
  private let hashing: OpaquePointer?
  /// None where the algorithm hashes by itself.
  private let verifying: OpaquePointer?

  static func make(_ key: Key, _ algorithm: Algorithm) throws(Status) -> SignatureContext {
    let made = unsafe SignatureContext(
      hashing: EVP_MD_CTX_new(),
      verifying: algorithm.digest.flatMap { _ in unsafe EVP_PKEY_CTX_new_from_pkey(nil, key.publicKey, nil) })
    guard made.prepare(algorithm) else {
      made.free()
      throw .cryptoFailure
    }
    return made
  }

  func free() {
    unsafe EVP_PKEY_CTX_free(verifying)
    unsafe EVP_MD_CTX_free(hashing)
  }

  private func prepare(_ algorithm: Algorithm) -> Bool {
    guard unsafe hashing != nil else { return false }
    guard let digest = algorithm.digest else { return true }
    guard unsafe verifying != nil, unsafe EVP_DigestInit_ex2(hashing, digest.function, nil) == 1,
      unsafe EVP_PKEY_verify_init(verifying) == 1,
      unsafe EVP_PKEY_CTX_set_signature_md(verifying, digest.function) == 1
    else { return false }
    return algorithm.family != .rsaPSS || pad(digest)
  }

  /// RFC 7518 section 3.5: the salt is as long as the hash, and MGF1 uses the same hash.
  private func pad(_ digest: Algorithm.Digest) -> Bool {
    unsafe EVP_PKEY_CTX_set_rsa_padding(verifying, RSA_PKCS1_PSS_PADDING) == 1
      && EVP_PKEY_CTX_set_rsa_pss_saltlen(verifying, RSA_PSS_SALTLEN_DIGEST) == 1
      && EVP_PKEY_CTX_set_rsa_mgf1_md(verifying, digest.function) == 1
  }

  /// By the key that it was made for. `pair` is what `signature` is the DER of, for ECDSA. `cryptoFailure` where it did
  /// not come to a verdict.
  @_optimize(speed)
  func isGenuine(_ signature: Bytes, pair: Bytes, over input: Bytes, by key: Key) throws(Status) -> Bool {
    guard unsafe verifying != nil else { return try isGenuineAsWhole(signature, input, key) }
    var memory = InlineArray<64, UInt8>(repeating: 0)
    return try memory.withRoom { digest throws(Status) in
      var length: UInt32 = 0
      // Without a name it is the digest that it was made with.
      guard unsafe EVP_DigestInit_ex2(hashing, nil, nil) == 1,
        unsafe EVP_DigestUpdate(hashing, input.pointer, input.count) == 1,
        unsafe EVP_DigestFinal_ex(hashing, digest.pointer, &length) == 1
      else { throw .cryptoFailure }
      if let verdict = key.table?.isGenuine(pair, digest.bytes(Int(length))) { return verdict }
      return unsafe EVP_PKEY_verify(
        verifying, signature.pointer, signature.count, digest.pointer, Int(length)) == 1
    }
  }

  /// Begun anew each time: since OpenSSL 3.5 a context that is not refuses what is genuine.
  private func isGenuineAsWhole(_ signature: Bytes, _ input: Bytes, _ key: Key) throws(Status) -> Bool {
    guard unsafe EVP_DigestVerifyInit_ex(hashing, nil, nil, nil, nil, key.publicKey, nil) == 1
    else { throw .cryptoFailure }
    return unsafe EVP_DigestVerify(
      hashing, signature.pointer, signature.count, input.pointer, input.count) == 1
  }
}

extension Algorithm.Digest {
  /// libcrypto's; static.
  @unsafe var function: OpaquePointer? {
    switch self {
    case .sha256: unsafe EVP_sha256()
    case .sha384: unsafe EVP_sha384()
    case .sha512: unsafe EVP_sha512()
    }
  }
}
