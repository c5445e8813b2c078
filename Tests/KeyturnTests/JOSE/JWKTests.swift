import Foundation
import Testing

@testable import Keyturn

/// One rule after another: each row is a key and what becomes of it.
@Suite struct JWKTests {
  typealias Row = (key: String, fault: KeyFault)

  static let n = exampleModulus
  static let x256 = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
  static let y256 = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
  static let ed = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
  static let secret = base64URL([UInt8](repeating: 1, count: 32))

  static func rsa(_ more: String = "") -> String { #"{"kty":"RSA","n":"\#(n)","e":"AQAB"\#(more)}"# }
  static func ec(_ more: String = "") -> String {
    #"{"kty":"EC","crv":"P-256","x":"\#(x256)","y":"\#(y256)"\#(more)}"#
  }
  static func okp(_ more: String = "") -> String { #"{"kty":"OKP","crv":"Ed25519","x":"\#(ed)"\#(more)}"# }
  static func oct(_ more: String = "", octets: Int = 32) -> String {
    #"{"kty":"oct","k":"\#(base64URL([UInt8](repeating: 1, count: octets)))"\#(more)}"#
  }

  /// An RSA modulus of so many bits, odd unless said otherwise.
  static func modulus(bits: Int, last: UInt8 = 1) -> String {
    let top = UInt8(1 << ((bits - 1) % 8))
    return base64URL([top] + [UInt8](repeating: 0, count: (bits + 7) / 8 - 2) + [last])
  }

  private func expect(
    _ rows: [Row], _ rules: KeyRules = .asymmetric, _ location: SourceLocation = #_sourceLocation
  ) throws {
    for row in rows {
      #expect(
        try read(key: row.key, rules).fault == row.fault, "\(row.key.prefix(200))", sourceLocation: location)
    }
  }

  @Test func typeAndCurve() throws {
    try expect([
      ("null", .notAnObject), ("7", .notAnObject), (#""RSA""#, .notAnObject), ("[]", .notAnObject),
      ("{}", .unknownType),
      (#"{"kty":null}"#, .unknownType), (#"{"kty":1}"#, .unknownType), (#"{"kty":"rsa"}"#, .unknownType),
      (#"{"kty":"RSA "}"#, .unknownType), (#"{"kty":"RSA\u0000"}"#, .unknownType),
      (#"{"kty":"PQK"}"#, .unknownType),
      (#"{"kty":"EC","x":"\#(JWKTests.x256)","y":"\#(JWKTests.y256)"}"#, .unknownCurve),
      (#"{"kty":"EC","crv":1}"#, .unknownCurve), (#"{"kty":"EC","crv":"p-256"}"#, .unknownCurve),
      (#"{"kty":"EC","crv":"secp256r1"}"#, .unknownCurve), (#"{"kty":"EC","crv":"Ed25519"}"#, .unknownCurve),
      (#"{"kty":"OKP","crv":"P-256"}"#, .unknownCurve), (#"{"kty":"OKP","crv":"X25519"}"#, .unknownCurve),
      (#"{"kty":"OKP","crv":"X448"}"#, .unknownCurve), (#"{"kty":"OKP","crv":"ed25519"}"#, .unknownCurve),
      (#"{"kty":"OKP","x":"\#(JWKTests.ed)"}"#, .unknownCurve),
      (JWKTests.rsa(), .usable), (JWKTests.ec(), .usable), (JWKTests.okp(), .usable),
    ])
  }

  @Test func algorithmsFollowFromTheKey() throws {
    #expect(try read(key: JWKTests.rsa()).algorithms == names(.rsa))
    #expect(try read(key: JWKTests.ec()).algorithms == ["ES256"])
    #expect(try read(key: JWKTests.okp()).algorithms == ["EdDSA", "Ed25519"])
    #expect(try read(key: JWKTests.rsa(#","alg":"PS384""#)).algorithms == ["PS384"])
    #expect(try read(key: JWKTests.okp(#","alg":"EdDSA""#)).algorithms == ["EdDSA"])
    #expect(try read(key: JWKTests.okp(#","alg":"Ed25519""#)).algorithms == ["Ed25519"])
    #expect(try !read(key: JWKTests.rsa()).declared)
    #expect(try read(key: JWKTests.rsa(#","alg":"RS256""#)).declared)
  }

  @Test func algorithmThatIsDeclared() throws {
    try expect([
      (JWKTests.rsa(#","alg":"RS256""#), .usable), (JWKTests.rsa(#","alg":"PS512""#), .usable),
      (JWKTests.rsa(#","alg":"ES256""#), .algorithmMismatch),
      (JWKTests.rsa(#","alg":"HS256""#), .algorithmMismatch),
      (JWKTests.rsa(#","alg":"none""#), .unknownAlgorithm),
      (JWKTests.rsa(#","alg":"RSA-OAEP""#), .unknownAlgorithm),
      (JWKTests.rsa(#","alg":256"#), .unknownAlgorithm), (JWKTests.rsa(#","alg":"""#), .unknownAlgorithm),
      (JWKTests.rsa(#","alg":null"#), .unknownAlgorithm),
      (JWKTests.ec(#","alg":"ES384""#), .algorithmMismatch),
      (JWKTests.ec(#","alg":"ES256K""#), .algorithmMismatch),
      (JWKTests.ec(#","alg":"ES521""#), .unknownAlgorithm),
      (JWKTests.ec(#","alg":"ECDH-ES""#), .unknownAlgorithm),
      (JWKTests.okp(#","alg":"Ed448""#), .algorithmMismatch),
      (JWKTests.okp(#","alg":"ES256""#), .algorithmMismatch),
      (#"{"kty":"AKP","pub":"AA"}"#, .unknownAlgorithm),
      (#"{"kty":"AKP","alg":"RS256","pub":"AA"}"#, .algorithmMismatch),
      (#"{"kty":"AKP","alg":"ML-DSA-99","pub":"AA"}"#, .unknownAlgorithm),
      (#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#, .badMember),
      (#"{"kty":"AKP","alg":"ML-DSA-44"}"#, .badMember),
    ])
  }

  @Test func whatItIsFor() throws {
    try expect([
      (JWKTests.rsa(#","use":"sig""#), .usable), (JWKTests.rsa(#","use":"enc""#), .otherUse),
      (JWKTests.rsa(#","use":"""#), .otherUse), (JWKTests.rsa(#","use":1"#), .otherUse),
      (JWKTests.rsa(#","use":null"#), .otherUse), (JWKTests.rsa(#","use":"tls""#), .otherUse),
      (JWKTests.rsa(#","use":"SIG""#), .otherUse), (JWKTests.rsa(#","use":"jwt-svid""#), .otherUse),
      (JWKTests.rsa(#","use":"x509-svid""#), .otherUse),
    ])
    try expect(
      [
        (JWKTests.rsa(#","use":"jwt-svid""#), .usable), (JWKTests.rsa(#","use":"x509-svid""#), .otherUse),
        (JWKTests.rsa(#","use":"sig""#), .otherUse), (JWKTests.rsa(), .otherUse),
      ], .spiffe)
  }

  @Test func whatItMayDo() throws {
    let many = (0..<100).map { #""\#($0)""# }.joined(separator: ",")
    try expect([
      (JWKTests.rsa(#","key_ops":["verify"]"#), .usable),
      (JWKTests.rsa(#","key_ops":["sign","verify"]"#), .usable),
      (JWKTests.rsa(#","key_ops":["verify","x-custom"]"#), .usable),
      (JWKTests.rsa(#","key_ops":["sign"]"#), .otherUse),
      (JWKTests.rsa(#","key_ops":[]"#), .otherUse), (JWKTests.rsa(#","key_ops":["deriveKey"]"#), .otherUse),
      (JWKTests.rsa(#","use":"sig","key_ops":["encrypt"]"#), .otherUse),
      (JWKTests.rsa(#","key_ops":["verify","verify"]"#), .badMember),
      (JWKTests.rsa(#","key_ops":"verify""#), .badMember),
      (JWKTests.rsa(#","key_ops":["verify",1]"#), .badMember),
      (JWKTests.rsa(#","key_ops":null"#), .badMember),
      (JWKTests.rsa(#","key_ops":{}"#), .badMember),
      (JWKTests.rsa(#","key_ops":["verify",\#(many)]"#), .badMember),
    ])
  }

  /// Published private keys are reported before all else.
  @Test(arguments: ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
  func privateMembers(_ name: String) throws {
    try expect([
      (JWKTests.rsa(#","\#(name)":"AA""#), .isPrivate), (JWKTests.ec(#","\#(name)":null"#), .isPrivate),
      (JWKTests.okp(#","use":"enc","alg":"none","\#(name)":"AA""#), .isPrivate),
    ])
  }

  @Test func secretsKeepToThemselves() throws {
    try expect([(JWKTests.oct(), .symmetric), (JWKTests.oct(#","use":"enc""#), .symmetric)])
    try expect([(JWKTests.oct(), .usable), (#"{"kty":"PQK"}"#, .unknownType)], .secrets)
    for other in [JWKTests.rsa(), JWKTests.ec(#","use":"enc""#), JWKTests.okp(#","d":"AA""#)] {
      let fault = #expect(throws: Fault.self) { try read(key: other, .secrets) }
      #expect(fault?.status == .invalidDocument)
    }
    let left = try read(key: JWKTests.oct())
    #expect(left.thumbprint.isEmpty && left.bits == 0)
  }

  @Test func secretsAreAsLongAsTheirHash() throws {
    let rows: [(String, KeyFault, Set<String>)] = [
      (JWKTests.oct(octets: 31), .tooWeak, []), (JWKTests.oct(octets: 32), .usable, ["HS256"]),
      (JWKTests.oct(octets: 48), .usable, ["HS256", "HS384"]),
      (JWKTests.oct(octets: 64), .usable, ["HS256", "HS384", "HS512"]),
      (JWKTests.oct(octets: 5000), .usable, ["HS256", "HS384", "HS512"]),
      (JWKTests.oct(#","alg":"HS512""#, octets: 63), .tooWeak, []),
      (JWKTests.oct(#","alg":"HS512""#, octets: 64), .usable, ["HS512"]),
      (JWKTests.oct(#","alg":"A256GCM""#), .unknownAlgorithm, []),
      (JWKTests.oct(#","alg":"RS256""#), .algorithmMismatch, []),
      (#"{"kty":"oct","k":""}"#, .tooWeak, []), (#"{"kty":"oct"}"#, .badMember, []),
      (#"{"kty":"oct","k":7}"#, .badMember, []),
      (#"{"kty":"oct","k":"\#(JWKTests.secret)="}"#, .badMember, []),
    ]
    for (jwk, fault, algorithms) in rows {
      let key = try read(key: jwk, .secrets)
      #expect(key.fault == fault, "\(jwk)")
      #expect(key.algorithms == algorithms, "\(jwk)")
    }
  }

  @Test func sizesAndValuesOfRSA() throws {
    func rsa(_ n: String, _ e: String = "AQAB") -> String { #"{"kty":"RSA","n":"\#(n)","e":"\#(e)"}"# }
    let large = JWKTests.modulus(bits: 2048)
    try expect([
      (rsa(JWKTests.modulus(bits: 1024)), .tooWeak), (rsa(JWKTests.modulus(bits: 2047)), .tooWeak),
      (rsa(large), .usable), (rsa(JWKTests.modulus(bits: 2049)), .usable),
      (rsa(JWKTests.modulus(bits: 16_384)), .usable), (rsa(JWKTests.modulus(bits: 16_385)), .tooLarge),
      (rsa(JWKTests.modulus(bits: 65_536)), .tooLarge),
      (rsa(JWKTests.modulus(bits: 2048, last: 2)), .badValue),
      (rsa(large, "Aw"), .usable), (rsa(large, "AQ"), .badValue), (rsa(large, "AA"), .badValue),
      (rsa(large, "Ag"), .badValue), (rsa(large, "AAEAAQ"), .usable), (rsa(large, ""), .badMember),
      (rsa(large, base64URL([1, 0, 0, 0, 0, 0, 0, 1])), .usable),
      (rsa(large, base64URL([1, 0, 0, 0, 0, 0, 0, 0, 1])), .tooLarge),
      (rsa(large, String(repeating: "A", count: 4000)), .tooLarge), (rsa(""), .badMember),
      (rsa(large + "=="), .badMember), (rsa(large + "="), .badMember), (rsa(large + ",,"), .badMember),
      (rsa(large, "AQ\\nAB"), .badMember),
      (rsa(base64URL([0] + octets(base64URL: large))), .usable),
      (rsa(base64URL([0, 0] + octets(base64URL: large))), .badMember),
      (#"{"kty":"RSA","n":"\#(large)"}"#, .badMember), (#"{"kty":"RSA","e":"AQAB"}"#, .badMember),
      (#"{"kty":"RSA","n":5,"e":"AQAB"}"#, .badMember),
      (#"{"kty":"RSA","n":"\#(large)","e":65537}"#, .badMember),
      (#"{"kty":"RSA","x5c":["MIIB"]}"#, .badMember),
    ])
  }

  @Test func pointsOfAnEllipticCurve() throws {
    func ec(_ x: String, _ y: String, _ curve: String = "P-256") -> String {
      #"{"kty":"EC","crv":"\#(curve)","x":"\#(x)","y":"\#(y)"}"#
    }
    let (x, y) = (JWKTests.x256, JWKTests.y256)
    let zero = base64URL([UInt8](repeating: 0, count: 32))
    try expect([
      (ec(x, y), .usable), (ec(x, x), .badValue), (ec(zero, zero), .badValue), (ec(y, x), .badValue),
      (ec(base64URL([UInt8](repeating: 0xff, count: 32)), y), .badValue), (ec(x, y, "secp256k1"), .badValue),
      (ec(x, y, "P-384"), .badMember), (ec(x, ""), .badMember), (ec(x + "=", y), .badMember),
      (ec(base64URL([0] + octets(base64URL: x)), y), .badMember),
      (ec(base64URL(octets(base64URL: x).dropLast()), y), .badMember),
      (ec("\(x.dropLast())*", y), .badMember),
      (#"{"kty":"EC","crv":"P-256","x":"\#(x)"}"#, .badMember),
      (#"{"kty":"EC","crv":"P-256","x":"\#(x)","y":1}"#, .badMember),
    ])
    let standard = try read(key: ec(x, y.replacing("-", with: "+").replacing("_", with: "/")))
    #expect(standard.fault == .usable)
  }

  /// What issuers publish in such a way says what it is; what does not is left out.
  @Test func oddBase64IsReadAndToldInKeysThatSayWhatTheyAre() throws {
    let x = JWKTests.ed.replacing("_", with: "/")
    try #require(x != JWKTests.ed)
    func key(_ members: String) throws -> ReadKey {
      try read(key: #"{"kty":"OKP","crv":"Ed25519","x":"\#(x)"\#(members)}"#)
    }
    let full = try key(#","kid":"a","use":"sig","alg":"EdDSA""#)
    #expect(full.fault == .usable && full.lenient)
    #expect(try key("").fault == .badMember)
    #expect(try key(#","kid":"a","use":"sig""#).fault == .badMember)
    #expect(try key(#","kid":"a","alg":"EdDSA""#).fault == .badMember)
    #expect(try key(#","use":"sig","alg":"EdDSA""#).fault == .badMember)
  }

  /// All points of small order, all encodings of them that are not canonical, and points off the curve.
  @Test(arguments: [
    ("Ed25519", "0100000000000000000000000000000000000000000000000000000000000000"),
    ("Ed25519", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("Ed25519", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("Ed25519", "0000000000000000000000000000000000000000000000000000000000000080"),
    ("Ed25519", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ("Ed25519", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    ("Ed25519", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ("Ed25519", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
    ("Ed25519", "0100000000000000000000000000000000000000000000000000000000000080"),
    ("Ed25519", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    ("Ed25519", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("Ed25519", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("Ed25519", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    ("Ed25519", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    ("Ed25519", "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("Ed25519", "0200000000000000000000000000000000000000000000000000000000000000"),
    ("Ed25519", "0700000000000000000000000000000000000000000000000000000000000000"),
    ("Ed448", "01" + String(repeating: "00", count: 56)), ("Ed448", String(repeating: "00", count: 57)),
    ("Ed448", String(repeating: "00", count: 56) + "80"),
    ("Ed448", "01" + String(repeating: "00", count: 55) + "80"),
    ("Ed448", "fe" + String(repeating: "ff", count: 27) + "fe" + String(repeating: "ff", count: 27) + "00"),
    ("Ed448", String(repeating: "ff", count: 28) + "fe" + String(repeating: "ff", count: 27) + "00"),
    ("Ed448", "02" + String(repeating: "00", count: 56)),
    ("Ed448", "03" + String(repeating: "00", count: 55) + "01"),
  ])
  func badPointsOfAnEdwardsCurve(_ curve: String, _ hex: String) throws {
    try expect([(#"{"kty":"OKP","crv":"\#(curve)","x":"\#(base64URL(octets(hex: hex)))"}"#, .badValue)])
  }

  @Test func goodPointsOfAnEdwardsCurve() throws {
    try expect([
      (okp("Ed25519", [3] + [UInt8](repeating: 0, count: 31)), .usable),
      (okp("Ed25519", [3] + [UInt8](repeating: 0, count: 30) + [0x80]), .usable),
      (okp("Ed448", [3] + [UInt8](repeating: 0, count: 56)), .usable),
      (okp("Ed448", [3] + [UInt8](repeating: 0, count: 55) + [0x80]), .usable),
      (okp("Ed25519", [3] + [UInt8](repeating: 0, count: 30)), .badMember),
      (okp("Ed25519", [3] + [UInt8](repeating: 0, count: 32)), .badMember),
      (okp("Ed25519", [0, 3] + [UInt8](repeating: 0, count: 31)), .badMember), (okp("Ed448", []), .badMember),
      (JWKTests.okp(#","y":"AA""#), .usable),
    ])
  }

  private func okp(_ curve: String, _ x: [UInt8]) -> String {
    #"{"kty":"OKP","crv":"\#(curve)","x":"\#(base64URL(x))"}"#
  }

  @Test func kidIsAStringOfReasonableLength() throws {
    try expect([
      (JWKTests.rsa(#","kid":1"#), .badMember), (JWKTests.rsa(#","kid":null"#), .badMember),
      (JWKTests.rsa(#","kid":"""#), .usable),
      (JWKTests.rsa(#","kid":"\#(String(repeating: "k", count: 4096))""#), .usable),
      (JWKTests.rsa(#","kid":"\#(String(repeating: "k", count: 4097))""#), .badMember),
    ])
    #expect(try read(key: JWKTests.rsa(#","kid":"a\u0000b\u00e9""#)).kid == "a\0b\u{e9}")
  }

  @Test func theIssuersAlgorithmsAndLibcryptosDecideLast() throws {
    var rules = KeyRules.asymmetric
    rules.issuerAlgorithms = AlgorithmSet(.ed25519).union(AlgorithmSet(.ps256))
    try expect([(JWKTests.ec(), .notAllowed), (JWKTests.rsa(#","alg":"RS256""#), .notAllowed)], rules)
    #expect(try read(key: JWKTests.rsa(), rules).algorithms == ["PS256"])
    #expect(try read(key: JWKTests.okp(), rules).algorithms == ["Ed25519"])
    let pub = base64URL([UInt8](repeating: 0, count: 1312))
    let key = try read(key: #"{"kty":"AKP","alg":"ML-DSA-44","pub":"\#(pub)"}"#)
    #expect(key.fault == (names(.supported).contains("ML-DSA-44") ? .usable : .notOffered))
  }

  /// What comes first in the order of reasons is told, whatever else is wrong.
  @Test func reasonsHaveAnOrder() throws {
    let wrong = #","use":"enc","key_ops":7,"alg":"none","kid":1,"n":1"#
    let row = #"{"kty":"RSA","e":"AQAB","d":"AA"\#(wrong)}"#
    let order: [(String, KeyFault)] = [
      (#","d":"AA""#, .isPrivate), (#","use":"enc""#, .otherUse), (#","key_ops":7"#, .badMember),
      (#","alg":"none""#, .unknownAlgorithm), (#","kid":1"#, .badMember), (#","n":1"#, .badMember),
    ]
    #expect(try read(key: row).fault == .isPrivate)
    for first in order.indices {
      let rest = order[first...].map(\.0).joined()
      #expect(try read(key: #"{"kty":"RSA","e":"AQAB"\#(rest)}"#).fault == order[first].1)
    }
  }

  @Test func unknownMembersAreIgnored() throws {
    let more =
      #","x5c":["MIIB"],"x5t":7,"issuer":"https://issuer.example/{tenantid}","acr":["idp"],"ext":{"a":[{}]}"#
    try expect([(JWKTests.rsa(more), .usable), (JWKTests.ec(more), .usable), (JWKTests.okp(more), .usable)])
  }
}
