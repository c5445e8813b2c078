internal import COpenSSL

/// A public key of RFC 8032, of which libcrypto takes any octets of the right length. Refused here: encodings
/// that are not canonical, points off the curve, and the few points of small order, under which one
/// signature is good for many messages.
enum EdwardsPoint {
  /// Nil where libcrypto could not do the arithmetic.
  static func isAcceptable(_ encoded: Bytes, _ kind: KeyKind) -> Bool? {
    guard let field = Field() else { return nil }
    return kind == .ed448 ? field.accepts448(encoded) : field.accepts25519(encoded)
  }
}

/// Numbers modulo the field's prime; they live as long as the one BN_CTX that they come from.
@safe private struct Field: ~Copyable {
  private let context: OpaquePointer

  init?() {
    guard let context = unsafe BN_CTX_new() else { return nil }
    unsafe self.context = context
    unsafe BN_CTX_start(context)
  }

  deinit {
    unsafe BN_CTX_end(context)
    unsafe BN_CTX_free(context)
  }

  func accepts25519(_ encoded: Bytes) -> Bool? {
    let prime: StaticString = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"
    let d: StaticString = "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3"
    guard let p = unsafe number(prime), let d = unsafe number(d), let one = unsafe number("1") else {
      return nil
    }
    return unsafe accepts(encoded, signBit: 255, p: p, d: d, minusA: one)
  }

  func accepts448(_ encoded: Bytes) -> Bool? {
    let prime: StaticString = """
      fffffffffffffffffffffffffffffffffffffffffffffffffffffffe\
      ffffffffffffffffffffffffffffffffffffffffffffffffffffffff
      """
    guard let p = unsafe number(prime), let d = unsafe number("-98a9"), let minusOne = unsafe number("-1")
    else { return nil }
    return unsafe accepts(encoded, signBit: 455, p: p, d: d, minusA: minusOne)
  }

  /// RFC 8032 sections 5.1 and 5.2: a x^2 + y^2 = 1 + d x^2 y^2, so that x^2 = u/v with u = y^2 - 1 and
  /// v = d y^2 - a. The points of order 1, 2 and 4 have y = 1, -1 (u = 0) and 0; those of order 8, which
  /// only the first curve has, double to one with y = 0, which is where v y^2 + u = 0.
  @unsafe private func accepts(
    _ encoded: Bytes, signBit: Int32, p: OpaquePointer, d: OpaquePointer, minusA: OpaquePointer
  ) -> Bool? {
    guard let y = unsafe number("0"), let square = unsafe number("0"), let u = unsafe number("0"),
      let v = unsafe number("0"), let product = unsafe number("0"),
      unsafe BN_lebin2bn(encoded.pointer, Int32(truncatingIfNeeded: encoded.count), y) != nil
    else { return nil }
    unsafe BN_clear_bit(y, signBit)
    guard unsafe BN_cmp(y, p) < 0, unsafe BN_is_zero(y) == 0 else { return false }
    guard unsafe BN_mod_sqr(square, y, p, context) == 1,
      unsafe BN_mod_sub(u, square, BN_value_one(), p, context) == 1,
      unsafe BN_mod_mul(v, d, square, p, context) == 1,
      unsafe BN_mod_add(v, v, minusA, p, context) == 1,
      unsafe BN_mod_mul(product, u, v, p, context) == 1
    else { return nil }
    // 1: a square other than 0; -2: libcrypto failed.
    let symbol = unsafe BN_kronecker(product, p, context)
    guard symbol == 1 else { return symbol == -2 ? nil : false }
    guard unsafe BN_mod_mul(product, v, square, p, context) == 1,
      unsafe BN_mod_add(product, product, u, p, context) == 1
    else { return nil }
    return unsafe BN_is_zero(product) == 0
  }

  private func number(_ hex: StaticString) -> OpaquePointer? {
    var number = unsafe BN_CTX_get(context)
    guard unsafe number != nil, unsafe BN_hex2bn(&number, CString.of(hex)) > 0 else { return nil }
    return unsafe number
  }
}
