import Foundation
import Testing

@testable import KeyturnCLI

@Suite struct GatewayMetricsTests {
  private func read(_ page: String) throws(Complaint) -> GatewayMetrics {
    try GatewayMetrics(Data(page.utf8))
  }

  private func sentence(_ page: String) -> String? {
    do throws(Complaint) {
      _ = try read(page)
      return nil
    } catch { return error.description }
  }

  /// A page about one key of the issuer `a`, whose last samples have these values.
  private func page(expiry: String, gapless: String = "1") -> String {
    """
    keyturn_store_sums 1
    keyturn_key_tokens_total{issuer="a",kid="k",thumbprint="t"} 3
    keyturn_key_latest_expiry_timestamp_seconds{issuer="a",kid="k",thumbprint="t"} \(expiry)
    keyturn_key_gapless{issuer="a",kid="k",thumbprint="t"} \(gapless)

    """
  }

  @Test func anIssuersFreshnessIsThatOfItsSlowestSet() throws {
    let metrics = try read(
      """
      # HELP keyturn_key_set_age_seconds x
      keyturn_key_set_age_seconds{issuer="https://a"} 10.5
      keyturn_key_set_age_seconds{issuer="b\\"{},=\\n\\\\"} 1
      keyturn_key_set_fresh_seconds{issuer="https://a"} 289.5
      keyturn_key_set_fresh_seconds{issuer="b\\"{},=\\n\\\\"} 59

      """)
    #expect(metrics.freshness(of: "https://a") == 300)
    #expect(metrics.freshness(of: "b\"{},=\n\\") == 60)
    #expect(metrics.freshness(of: "c") == nil)
  }

  /// As a Prometheus tells on what it has scraped, and as the format lets others write it.
  @Test(arguments: [
    "1700000000", "1700000000 1711111111000", "1.7e9\t-5", " \t1700000000  1711111111000 ", "1700000000\r",
    "1700000000 1711111111000\r",
  ])
  func timestampsAndBlanksAreNoPartOfTheValue(_ value: String) throws {
    let uses = try read(page(expiry: value)).uses(of: "k", from: "a")
    #expect(uses == GatewayMetrics.KeyUses(latestExpiry: 1_700_000_000, gap: nil))
  }

  @Test func blanksMayStandBetweenAllParts() throws {
    let metrics = try read(
      "  keyturn_issuer_ready { issuer = \"a\" , job=\"x\", } 1 5\nkeyturn_issuer_ready{issuer=\"b\"}0\n")
    #expect(metrics.isReady("a") == true)
    #expect(metrics.isReady("b") == false)
  }

  @Test(arguments: ["\r\n", "\n"])
  func linesEndAsAnywhere(_ end: String) throws {
    let uses = try read(page(expiry: "7").split(separator: "\n").map { $0 + end }.joined()).uses(
      of: "k", from: "a")
    #expect(uses == GatewayMetrics.KeyUses(latestExpiry: 7, gap: nil))
  }

  @Test(arguments: [
    ("+Inf", 1_000_000_000_000_000_000), ("1e400", 1_000_000_000_000_000_000), ("-Inf", 0), ("NaN", 0),
    ("-1e300", 0),
  ])
  func numbersWithoutMeasureAreNumbers(_ value: String, _ latest: Int64) throws {
    let uses = try read(page(expiry: value)).uses(of: "k", from: "a")
    #expect(uses.latestExpiry == latest)
    #expect((uses.gap == nil) == (latest > 0))
    for (name, other) in [("age", "fresh"), ("fresh", "age")] {
      let told =
        "keyturn_key_set_\(name)_seconds{issuer=\"a\"} \(value)\nkeyturn_key_set_\(other)_seconds{issuer=\"a\"} 1\n"
      #expect(try read(told).freshness(of: "a") == nil)
    }
  }

  @Test func oneProcessThatCountsForItselfIsEnoughForAGap() throws {
    let uses = try read(page(expiry: "7") + "keyturn_store_sums{instance=\"b\"} 0\n").uses(of: "k", from: "a")
    #expect(uses.gap == "it tells what one process has counted since its start")
  }

  @Test func othersLinesAreTheirs() throws {
    let told =
      page(expiry: "7")
      + "\n# keyturn_key_tokens_total{ is a comment\n#\nother{ 1\nnginx_up 1 2 3\n\u{1B}[2J\n"
    #expect(try read(told).uses(of: "k", from: "a").gap == nil)
    #expect(sentence("") == nil)
  }

  /// A key whose sample is overlooked would pass for one that has gone.
  @Test(arguments: [
    "keyturn_key_tokens_total", "keyturn_key_tokens_total{", "keyturn_key_tokens_total{kid=\"a\"} soon",
    "keyturn_key_tokens_total{kid=\"a\"} 1 soon", "keyturn_key_tokens_total{kid=\"a\"} 1 2 3",
    "keyturn_key_tokens_total{kid=\"a\"}", "keyturn_key_tokens_total{kid=\"a} 1",
    "keyturn_key_tokens_total{kid=a} 1",
    "keyturn_key_tokens_total{=\"a\"} 1", "keyturn_key_tokens_total{kid} 1",
    "keyturn_key_tokens_total{kid=\"a\\x\"} 1",
    "keyturn_key_tokens_total{kid=\"a\\", "keyturn_key_tokens_total{kid=\"a\" issuer=\"b\"} 1",
    "keyturn_key_tokens_total{kid=\"a\"}} 1", "keyturn_\u{1B}[2J 1", "keyturn_key_tokens_total 1,5",
  ])
  func aLineThatCannotBeReadIsSaid(_ line: String) {
    #expect(sentence(page(expiry: "7")) == nil)
    #expect(sentence(page(expiry: "7") + line + "\n") == "its metrics cannot be read: line 5 is no sample")
  }

  @Test func aPageThatIsCutOffIsNone() {
    let whole = Array(page(expiry: "1700000000").utf8)
    for length in 1..<whole.count where whole[length - 1] != UInt8(ascii: "\n") {
      #expect(throws: Complaint.self) { try GatewayMetrics(Data(whole[..<length])) }
    }
    #expect(sentence("<html>") == "its metrics are cut off, or none: the last line has no end")
  }

  @Test func aHugePageIsReadToItsEnd() throws {
    let other = "keyturn_fetches_total{issuer=\"\(String(repeating: "\\\"", count: 100))\"} 1\n"
    let many = (0..<5_000).map { "keyturn_key_tokens_total{issuer=\"a\",kid=\"\($0)\"} 1\n" }.joined()
    let metrics = try read(String(repeating: other, count: 1_000) + many + page(expiry: "7"))
    #expect(metrics.kids(of: "a")?.count == 5_001)
    #expect(metrics.uses(of: "k", from: "a").gap == nil)
    let long = "keyturn_issuer_ready{issuer=\"\(String(repeating: "{", count: 1 << 18))\"} 1\n"
    #expect(try read(long).isReady("a") == nil)
    #expect(sentence(String(long.dropLast(4)) + "\n") == "its metrics cannot be read: line 1 is no sample")
  }
}
