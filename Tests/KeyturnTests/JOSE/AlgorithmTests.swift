import Testing

@testable import Keyturn

@Suite struct AlgorithmTests {
  /// In the order of the bits JWT_ALG_* of keyturn.h.
  static let registered = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA",
    "Ed25519",
    "Ed448", "HS256", "HS384", "HS512", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87",
  ]

  @Test func namesStandInTheOrderOfTheBits() {
    for (bit, name) in AlgorithmTests.registered.enumerated() {
      let algorithm = withBytes(name) { Algorithm(name: $0) }
      #expect(algorithm?.rawValue == UInt8(bit))
      #expect(algorithm.map { "\($0.name)" } == name)
      #expect(algorithm.map { AlgorithmSet($0).rawValue } == 1 << UInt64(bit))
    }
    #expect(names(.known) == Set(AlgorithmTests.registered))
  }

  @Test(arguments: [
    "", "none", "None", "NONE", "rs256", "RS256 ", " RS256", "RS256\0", "ES521", "HS1", "ES256k", "EDDSA",
    "RSA-OAEP",
    "A128KW", "ML-DSA-44\u{0}", "ML-DSA", "SLH-DSA-SHA2-128s",
  ])
  func othersAreNoAlgorithms(_ name: String) {
    #expect(withBytes(name) { Algorithm(name: $0) } == nil)
  }

  @Test func symmetricAndAsymmetricPartTheKnownOnes() {
    #expect(names(.symmetric) == ["HS256", "HS384", "HS512"])
    #expect(names(.asymmetric) == Set(AlgorithmTests.registered).subtracting(names(.symmetric)))
    #expect(names(.rsa) == ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
    #expect(names(AlgorithmSet(rawValue: .max)) == names(.known))
  }

  /// ML-DSA depends on the libcrypto at hand; the others have been there since OpenSSL 3.0.
  @Test func whatLibcryptoOffersIsAskedOfIt() {
    let offered = names(.supported)
    #expect(offered.isSuperset(of: AlgorithmTests.registered.filter { !$0.hasPrefix("ML-DSA") }))
    #expect(Set(offered.filter { $0.hasPrefix("ML-DSA") }.map(\.count)).count <= 1)
  }
}
