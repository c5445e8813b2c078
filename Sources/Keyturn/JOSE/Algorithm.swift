/// The signature algorithms (RFC 7518 section 3.1, 8037, 8812, 9864, 9964), in the order of the bits
/// JWT_ALG_* of keyturn.h. "none" is not one.
enum Algorithm: UInt8 {
  case rs256, rs384, rs512
  case ps256, ps384, ps512
  case es256, es384, es512, es256K
  case edDSA, ed25519, ed448
  case hs256, hs384, hs512
  case mlDSA44, mlDSA65, mlDSA87

  enum Family {
    case rsa, rsaPSS, ecdsa, edwards, hmac, mlDSA
  }

  enum Digest {
    case sha256, sha384, sha512
  }

  /// A registered name, in its exact case.
  @_optimize(speed)
  init?(name: Bytes) {
    var number: UInt8 = 0
    while let candidate = Algorithm(rawValue: number) {
      self = candidate
      if name.equals(Bytes(candidate.name)) { return }
      number &+= 1
    }
    return nil
  }

  var name: StaticString {
    switch self {
    case .rs256: "RS256"
    case .rs384: "RS384"
    case .rs512: "RS512"
    case .ps256: "PS256"
    case .ps384: "PS384"
    case .ps512: "PS512"
    case .es256: "ES256"
    case .es384: "ES384"
    case .es512: "ES512"
    case .es256K: "ES256K"
    case .edDSA: "EdDSA"
    case .ed25519: "Ed25519"
    case .ed448: "Ed448"
    case .hs256: "HS256"
    case .hs384: "HS384"
    case .hs512: "HS512"
    case .mlDSA44: "ML-DSA-44"
    case .mlDSA65: "ML-DSA-65"
    case .mlDSA87: "ML-DSA-87"
    }
  }

  var family: Family {
    switch self {
    case .rs256, .rs384, .rs512: .rsa
    case .ps256, .ps384, .ps512: .rsaPSS
    case .es256, .es384, .es512, .es256K: .ecdsa
    case .edDSA, .ed25519, .ed448: .edwards
    case .hs256, .hs384, .hs512: .hmac
    case .mlDSA44, .mlDSA65, .mlDSA87: .mlDSA
    }
  }

  /// What is hashed before the arithmetic; nil where the algorithm hashes by itself.
  var digest: Digest? {
    switch self {
    case .rs256, .ps256, .es256, .es256K, .hs256: .sha256
    case .rs384, .ps384, .es384, .hs384: .sha384
    case .rs512, .ps512, .es512, .hs512: .sha512
    case .edDSA, .ed25519, .ed448, .mlDSA44, .mlDSA65, .mlDSA87: nil
    }
  }
}

extension Algorithm.Digest {
  var octets: Int {
    switch self {
    case .sha256: 32
    case .sha384: 48
    case .sha512: 64
    }
  }

  /// As libcrypto calls it.
  var name: StaticString {
    switch self {
    case .sha256: "SHA256"
    case .sha384: "SHA384"
    case .sha512: "SHA512"
    }
  }
}

/// Algorithms as the bits of keyturn.h. Not an OptionSet, which could be made of an array, and so of memory
/// that the core does not take.
struct AlgorithmSet: Equatable {
  var rawValue: UInt64

  init(rawValue: UInt64) { self.rawValue = rawValue }

  init(_ algorithm: Algorithm) { rawValue = 1 &<< UInt64(algorithm.rawValue) }

  var isEmpty: Bool { rawValue == 0 }

  func contains(_ algorithm: Algorithm) -> Bool { rawValue & AlgorithmSet(algorithm).rawValue != 0 }

  mutating func insert(_ algorithm: Algorithm) { rawValue |= AlgorithmSet(algorithm).rawValue }

  func union(_ other: AlgorithmSet) -> AlgorithmSet { AlgorithmSet(rawValue: rawValue | other.rawValue) }

  func intersection(_ other: AlgorithmSet) -> AlgorithmSet {
    AlgorithmSet(rawValue: rawValue & other.rawValue)
  }

  func subtracting(_ other: AlgorithmSet) -> AlgorithmSet {
    AlgorithmSet(rawValue: rawValue & ~other.rawValue)
  }

  func isSubset(of other: AlgorithmSet) -> Bool { subtracting(other).isEmpty }

  func isDisjoint(with other: AlgorithmSet) -> Bool { intersection(other).isEmpty }

  static var none: AlgorithmSet { AlgorithmSet(rawValue: 0) }
  static var known: AlgorithmSet { AlgorithmSet(rawValue: 0x7ffff) }
  static var symmetric: AlgorithmSet { AlgorithmSet(rawValue: 0xe000) }
  static var asymmetric: AlgorithmSet { known.subtracting(symmetric) }
  /// RS and PS: what an RSA key can do.
  static var rsa: AlgorithmSet { AlgorithmSet(rawValue: 0x3f) }

  /// One by one, in the order of the bits; bits that stand for no algorithm are passed over.
  var members: Members { Members(rest: rawValue) }

  struct Members {
    fileprivate var rest: UInt64

    mutating func next() -> Algorithm? {
      while rest != 0 {
        let bit = UInt8(truncatingIfNeeded: rest.trailingZeroBitCount)
        rest &= rest &- 1
        if let algorithm = Algorithm(rawValue: bit) { return algorithm }
      }
      return nil
    }
  }
}
