internal import COpenSSL

/// The one owner of an EVP_PKEY, or of none where the key is a secret.
@safe struct PublicKey: ~Copyable {
  /// Borrowed: it lives as long as the owner.
  @unsafe let pointer: OpaquePointer?

  static var none: PublicKey { unsafe PublicKey(nil) }

  private init(_ pointer: OpaquePointer?) { unsafe self.pointer = pointer }

  deinit {
    if Libcrypto.isAlive { unsafe EVP_PKEY_free(pointer) }
  }

  /// One more owner of the same.
  func shared() throws(Status) -> PublicKey {
    if let pointer = unsafe pointer, unsafe EVP_PKEY_up_ref(pointer) != 1 { throw .cryptoFailure }
    return unsafe PublicKey(pointer)
  }

  /// Nil where libcrypto refuses the values, such as a point off its curve.
  static func make(_ material: KeyMaterial, scratch: Room) throws(Status) -> PublicKey? {
    let errors = ErrorQueue.mark()
    defer { errors.restore() }
    let made =
      switch material.kind {
      case .rsa: unsafe importRSA(modulus: material.first, exponent: material.second, scratch)
      case .p256, .p384, .p521, .secp256k1: unsafe importEC(material, scratch)
      case .ed25519: unsafe importEdwards("ED25519", material)
      case .ed448: unsafe importEdwards("ED448", material)
      case .mlDSA44, .mlDSA65, .mlDSA87: unsafe importRaw(material.kind.name, material.first)
      case .oct: unsafe OpaquePointer?.none
      }
    guard let made = unsafe made else {
      if errors.tellNoMemory() { throw .noMemory }
      return nil
    }
    return unsafe PublicKey(made)
  }

  private static func importEdwards(_ type: StaticString, _ material: KeyMaterial) -> OpaquePointer? {
    guard EdwardsPoint.isAcceptable(material.first, material.kind) == true else { return nil }
    return unsafe importRaw(type, material.first)
  }

  private static func importRaw(_ type: StaticString, _ octets: Bytes) -> OpaquePointer? {
    unsafe EVP_PKEY_new_raw_public_key_ex(nil, CString.of(type), nil, octets.pointer, octets.count)
  }

  private static func importRSA(modulus: Bytes, exponent: Bytes, _ scratch: Room) -> OpaquePointer? {
    let n = inMachineOrder(modulus, scratch)
    let e = inMachineOrder(exponent, scratch.slice(from: modulus.count))
    var parameters: Parameters = unsafe [
      OSSL_PARAM_construct_BN(CString.of("n"), n.pointer, n.count),
      OSSL_PARAM_construct_BN(CString.of("e"), e.pointer, e.count),
      OSSL_PARAM_construct_end(),
    ]
    return unsafe importKey("RSA", &parameters)
  }

  private static func importEC(_ material: KeyMaterial, _ scratch: Room) -> OpaquePointer? {
    let point = uncompressed(material, scratch)
    let group = unsafe UnsafeMutablePointer(mutating: CString.of(material.kind.name))
    var parameters: Parameters = unsafe [
      OSSL_PARAM_construct_utf8_string(CString.of("group"), group, 0),
      OSSL_PARAM_construct_octet_string(CString.of("pub"), point.pointer, point.count),
      OSSL_PARAM_construct_end(),
    ]
    return unsafe importKey("EC", &parameters)
  }

  private typealias Parameters = InlineArray<3, OSSL_PARAM>

  private static func importKey(_ type: StaticString, _ parameters: inout Parameters) -> OpaquePointer? {
    guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, CString.of(type), nil) else { return nil }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard unsafe EVP_PKEY_fromdata_init(context) == 1 else { return nil }
    var span = unsafe parameters.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { list in
      _ = unsafe copenssl_import_public_key(context, &key, list.baseAddress)
    }
    return unsafe key
  }

  /// SEC 1 section 2.3.3: 4, x, y. The point at infinity has no such form.
  private static func uncompressed(_ material: KeyMaterial, _ scratch: Room) -> Room {
    let length = material.kind.octets
    scratch.set(4, at: 0)
    scratch.copy(material.first, at: 1)
    scratch.copy(material.second, at: 1 &+ length)
    return scratch.slice(from: 0, length: 1 &+ 2 &* length)
  }

  /// A big-endian number as OSSL_PARAM wants it.
  private static func inMachineOrder(_ number: Bytes, _ room: Room) -> Room {
    #if _endian(little)
      for position in number.count.times {
        room.set(number.byte(at: position) ?? 0, at: number.count &- 1 &- position)
      }
    #else
      room.copy(number, at: 0)
    #endif
    return room.slice(from: 0, length: number.count)
  }
}
