import Foundation
import Testing

@testable import Keyturn

/// RSA: the example key of RFC 7638 section 3.1.
let exampleModulus = """
  0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM\
  stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5\
  hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw
  """

@Suite struct ThumbprintTests {
  /// RFC 7638 section 3.1, RFC 8037 appendix A.3.
  @Test(arguments: [
    (
      #"{"kty":"RSA","n":"\#(exampleModulus)","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
      "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    ),
    (
      #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
      "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    ),
  ])
  func theRFCsExamples(_ jwk: String, _ thumbprint: String) throws {
    #expect(try read(#"{"keys":[\#(jwk)]}"#).map(\.thumbprint) == [thumbprint])
  }

  @Test func everyKindAgreesWithAnotherImplementation() throws {
    var kinds = Set<String>()
    for example in try SignatureTests.cases() {
      let jwk = String(decoding: try JSONEncoder().encode(example.jwk), as: UTF8.self)
      let key = try read(key: jwk, example.alg.hasPrefix("HS") ? .secrets : .asymmetric)
      #expect(key.thumbprint == example.thumbprint, "\(example.alg)")
      kinds.insert(example.jwk["crv"] ?? example.jwk["alg"] ?? example.jwk["kty"] ?? "")
    }
    #expect(kinds.count == 11)
  }

  /// The same key has one thumbprint, however it was written down.
  @Test func lenientReadingsDoNotChangeIt() throws {
    let octets = octets(base64URL: exampleModulus)
    let readings = [exampleModulus, base64URL([0] + octets), Data([0] + octets).base64EncodedString()]
    let said = #","kid":"a","use":"sig","alg":"RS256""#
    for (reading, lenient) in zip(readings, [false, true, true]) {
      let key = try read(key: #"{"kty":"RSA","n":"\#(reading)","e":"AAEAAQ"\#(said)}"#)
      #expect(key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
      #expect(key.lenient)
      #expect(try read(key: #"{"kty":"RSA","n":"\#(reading)","e":"AQAB"\#(said)}"#).lenient == lenient)
    }
  }
}
