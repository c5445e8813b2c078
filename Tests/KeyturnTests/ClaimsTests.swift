import Testing

@testable import Keyturn

@Suite struct CompactJWSTests {
  @Test func theSigningInputIsTheTokensOwnOctets() throws {
    try withBytes("aa.bbb.c") { token in
      let jws = try CompactJWS.split(token)
      #expect(jws.header.text == "aa")
      #expect(jws.payload.text == "bbb")
      #expect(jws.signature.text == "c")
      #expect(jws.signingInput.text == "aa.bbb")
      #expect(jws.signingInput.offset(in: token) == 0)
    }
  }

  @Test(arguments: [
    ("", Status.missing), (".", .malformed), ("a.b", .malformed), (".b.c", .malformed),
    ("a.b.", .malformed), ("a.b.c.d", .malformed), ("a.b.c.d.e", .encrypted), ("a.b.c.d.e.f", .malformed),
    ("....", .malformed), ("a....", .encrypted),
  ])
  func anythingElseIsRefused(_ token: String, _ status: Status) {
    withBytes(token) { token in
      #expect(throws: status) { try CompactJWS.split(token) }
    }
  }
}

@Suite struct SPIFFEIDTests {
  @Test(arguments: [
    "spiffe://example.org", "spiffe://example.org/a", "spiffe://example.org/ns/prod/sa/web-1",
    "spiffe://example.org/A_.x",
  ])
  func anIDOfTheTrustDomain(_ id: String) {
    #expect(isOfExampleOrg(id))
  }

  @Test(arguments: [
    "", "spiffe://", "spiffe:///a", "http://example.org/a", "SPIFFE://example.org/a",
    "spiffe://example.org.evil/a",
    "spiffe://example.orgx", "spiffe://Example.org/a", "spiffe://example.org/", "spiffe://example.org//a",
    "spiffe://example.org/a/", "spiffe://example.org/./a", "spiffe://example.org/../a",
    "spiffe://example.org/a%2fb",
    "spiffe://example.org/a?b", "spiffe://example.org:443/a", "spiffe://user@example.org/a",
    "spiffe://example.org/\u{e9}",
  ])
  func nothingElse(_ id: String) {
    #expect(!isOfExampleOrg(id))
  }

  @Test func anIDHasAtMost2048Octets() {
    let id = "spiffe://example.org/"
    #expect(isOfExampleOrg(id + String(repeating: "a", count: 2_048 - id.utf8.count)))
    #expect(!isOfExampleOrg(id + String(repeating: "a", count: 2_049 - id.utf8.count)))
  }

  private func isOfExampleOrg(_ id: String) -> Bool {
    withBytes(id) { SPIFFEID.isOf(trustDomain: Bytes("example.org"), $0) }
  }
}

@Suite struct LifetimeArithmeticTests {
  @Test func sumsSaturate() {
    #expect(Int64.max.plus(1) == .max)
    #expect(Int64.min.plus(-1) == .min)
    #expect(Int64.min.minus(1) == .min)
    #expect(Int64.max.minus(-1) == .max)
    #expect(Int64(5).plus(7) == 12)
    #expect(Int64(5).minus(7) == -2)
  }

  @Test func aFractionIsAfterItsSecond() {
    #expect(!NumericDate(seconds: 10, hasFraction: false).isAfter(10))
    #expect(NumericDate(seconds: 10, hasFraction: true).isAfter(10))
    #expect(NumericDate(seconds: 11, hasFraction: false).isAfter(10))
    #expect(!NumericDate(seconds: 9, hasFraction: true).isAfter(10))
  }
}
