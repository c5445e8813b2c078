/// The value of `kty` (RFC 7518 section 6.1, RFC 8037 section 2, RFC 9964 section 3).
enum KeyType: UInt8 {
  case rsa, ec, okp, oct, akp

  init?(name: Bytes) {
    if name == "RSA" {
      self = .rsa
    } else if name == "EC" {
      self = .ec
    } else if name == "OKP" {
      self = .okp
    } else if name == "oct" {
      self = .oct
    } else if name == "AKP" {
      self = .akp
    } else {
      return nil
    }
  }
}

/// A key type together with its curve or parameter set: what decides which algorithms a key can serve.
enum KeyKind: UInt8 {
  case rsa
  case p256, p384, p521, secp256k1
  case ed25519, ed448
  case oct
  case mlDSA44, mlDSA65, mlDSA87

  /// A value of `crv` that belongs to the type.
  init?(type: KeyType, curve: Bytes) {
    switch type {
    case .ec:
      self.init(curve: curve, from: .p256, to: .secp256k1)
    case .okp:
      self.init(curve: curve, from: .ed25519, to: .ed448)
    case .rsa, .oct, .akp:
      return nil
    }
  }

  private init?(curve: Bytes, from first: KeyKind, to last: KeyKind) {
    var raw = first.rawValue
    while raw <= last.rawValue {
      if let kind = KeyKind(rawValue: raw), curve == kind.name {
        self = kind
        return
      }
      raw &+= 1
    }
    return nil
  }

  /// The parameter set that `alg` names in an AKP key.
  init?(parameterSet algorithm: Algorithm) {
    switch algorithm {
    case .mlDSA44: self = .mlDSA44
    case .mlDSA65: self = .mlDSA65
    case .mlDSA87: self = .mlDSA87
    default: return nil
    }
  }

  /// `crv`, or `alg` of an AKP key, or `kty` where neither is.
  var name: StaticString {
    switch self {
    case .rsa: "RSA"
    case .p256: "P-256"
    case .p384: "P-384"
    case .p521: "P-521"
    case .secp256k1: "secp256k1"
    case .ed25519: "Ed25519"
    case .ed448: "Ed448"
    case .oct: "oct"
    case .mlDSA44: "ML-DSA-44"
    case .mlDSA65: "ML-DSA-65"
    case .mlDSA87: "ML-DSA-87"
    }
  }

  /// All that keys of this kind can verify.
  var algorithms: AlgorithmSet {
    switch self {
    case .rsa: .rsa
    case .p256: AlgorithmSet(.es256)
    case .p384: AlgorithmSet(.es384)
    case .p521: AlgorithmSet(.es512)
    case .secp256k1: AlgorithmSet(.es256K)
    case .ed25519: AlgorithmSet(.edDSA).union(AlgorithmSet(.ed25519))
    case .ed448: AlgorithmSet(.edDSA).union(AlgorithmSet(.ed448))
    case .oct: .symmetric
    case .mlDSA44: AlgorithmSet(.mlDSA44)
    case .mlDSA65: AlgorithmSet(.mlDSA65)
    case .mlDSA87: AlgorithmSet(.mlDSA87)
    }
  }

  /// The length of a coordinate, or of the whole public key; 0 where it differs from key to key.
  var octets: Int {
    switch self {
    case .rsa, .oct: 0
    case .p256, .secp256k1, .ed25519: 32
    case .p384: 48
    case .p521: 66
    case .ed448: 57
    case .mlDSA44: 1312
    case .mlDSA65: 1952
    case .mlDSA87: 2592
    }
  }

  /// The size of the curve's field; 0 where the kind does not tell.
  var bits: UInt32 {
    switch self {
    case .rsa, .oct, .mlDSA44, .mlDSA65, .mlDSA87: 0
    case .p256, .secp256k1: 256
    case .p384: 384
    case .p521: 521
    case .ed25519: 255
    case .ed448: 448
    }
  }
}
