import CKeyturnAPI

/// One key of a set, as the library judges it.
struct PublishedKey: Equatable {
  let index: Int
  let fault: jwks_key_fault
  let isLenient: Bool
  let kid: String
  let thumbprint: String
  let algorithms: [String]
  let bits: UInt32
  let isRevoked: Bool
  let graceMilliseconds: Int64

  init(_ info: jwks_key_info) {
    index = info.index
    fault = info.fault
    isLenient = info.lenient == 1
    kid = info.kid.text
    thumbprint = info.thumbprint.text
    algorithms = (0..<64).compactMap { bit in
      let one = info.algorithms & 1 << bit
      return one == 0 ? nil : jwt_algorithm_name(one).map { String(cString: $0) }
    }
    bits = info.bits
    isRevoked = info.revoked == 1
    graceMilliseconds = info.grace_ms
  }

  var isUsable: Bool { fault == JWKS_KEY_USABLE }

  /// Nil for a key that is used.
  var whyNot: String? { isUsable ? nil : PublishedKey.faults[fault.rawValue] ?? "it cannot be used" }

  private static let faults: [UInt32: String] = [
    JWKS_KEY_NOT_AN_OBJECT.rawValue: "it is no object",
    JWKS_KEY_UNKNOWN_TYPE.rawValue: "kty is absent, or not known",
    JWKS_KEY_UNKNOWN_CURVE.rawValue: "crv is absent, or not known",
    JWKS_KEY_UNKNOWN_ALGORITHM.rawValue: "alg is no signature algorithm that is known",
    JWKS_KEY_ALGORITHM_MISMATCH.rawValue: "alg does not fit the key",
    JWKS_KEY_NOT_ALLOWED.rawValue: "its algorithm is not among those allowed",
    JWKS_KEY_OTHER_USE.rawValue: "use or key_ops is for something else",
    JWKS_KEY_BAD_MEMBER.rawValue: "a member is missing, or is not what it must be",
    JWKS_KEY_TOO_WEAK.rawValue: "it is too weak",
    JWKS_KEY_TOO_LARGE.rawValue: "it is too large",
    JWKS_KEY_BAD_VALUE.rawValue: "it is no valid key: the modulus, the exponent or the point",
    JWKS_KEY_PRIVATE.rawValue: "its private part is published: it is compromised",
    JWKS_KEY_SYMMETRIC.rawValue: "it is a shared secret, which is not allowed here",
    JWKS_KEY_NOT_OFFERED.rawValue: "this machine's libcrypto does not offer its algorithm",
    JWKS_KEY_REPEATED.rawValue: "the same key is there before",
    JWKS_KEY_NOT_PINNED.rawValue: "it is not pinned",
  ]
}
