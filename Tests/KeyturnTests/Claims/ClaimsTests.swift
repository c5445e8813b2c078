import Testing

@testable import Keyturn

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
