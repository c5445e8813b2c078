import Testing

@testable import KeyturnCLI

@Suite struct WordsTests {
  @Test func digestsAreSHA256() {
    #expect(SHA256.hex([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      SHA256.hex(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    let two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"  // of FIPS 180-4: two blocks
    #expect(SHA256.hex(Array(two.utf8)) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    let million = Array(repeating: UInt8(ascii: "a"), count: 10_000)
    #expect(SHA256.hex(million) == "27dd1f61b867b6a0f6e9d8a41c43231de52107e53ae424de8f847b821db4b711")
  }

  @Test(arguments: [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400)])
  func spansAreRead(_ text: String, _ seconds: Int64) { #expect(Span.seconds(text) == seconds) }

  @Test(arguments: ["", "s", "-1", "1.5h", "1w", "99999999999999999999"])
  func otherSpansAreNot(_ text: String) { #expect(Span.seconds(text) == nil) }

  @Test func spansAreSaidInTwoParts() {
    #expect(Span.text(0) == "0 s")
    #expect(Span.text(3_661) == "1 h 1 min")
    #expect(Span.text(-90_061) == "1 d 1 h")
  }

  @Test func whatATerminalObeysIsEscaped() {
    #expect(Terminal.safe("a\u{1B}[2J\u{202E}\u{9B}b") == "a\\u001b[2J\\u202e\\u009bb")
    #expect(JSON.text("\u{E0001}\"").written() == "\"\\udb40\\udc01\\\"\"")
  }
}
