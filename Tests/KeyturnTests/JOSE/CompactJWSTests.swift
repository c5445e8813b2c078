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
