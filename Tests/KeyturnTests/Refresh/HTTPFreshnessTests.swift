import Testing

@testable import Keyturn

@Suite struct HTTPFreshnessTests {
  private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"

  private func read(_ headers: [(String, String)]) -> HTTPFreshness {
    var freshness = HTTPFreshness()
    for (name, value) in headers {
      withBytes(value) { value in
        switch name {
        case "Cache-Control": freshness.readCacheControl(value)
        case "Age": freshness.readAge(value)
        case "Date": freshness.readDate(value)
        case "Expires": freshness.readExpires(value)
        default: freshness.readRetryAfter(value)
        }
      }
    }
    return freshness
  }

  /// In seconds, with a clamp that lets through what it can.
  private func lifetime(_ headers: [(String, String)], hint: Int64? = nil) -> Int64 {
    var open = RefreshSettings()
    open.minFreshness = 1_000
    open.maxFreshness = 604_800_000
    return read(headers).lifetime(hint: hint, open) / 1_000
  }

  @Test(arguments: [
    ("max-age=600", 600), ("MAX-AGE=600", 600), ("max-age=\"600\"", 600),
    ("public, max-age=600 , must-revalidate", 600),
    ("max-age=600, max-age=90", 90), ("max-age=90, max-age=600", 90),
    ("private=\"a, max-age=5, b\", max-age=600", 600),
    ("x=\"\\\", max-age=5\", max-age=600", 600), ("s-maxage=5, max-age=600", 600),
    ("max-age=99999999999999999999", 604_800),
    ("no-cache, max-age=600", 1), ("No-Store", 1), ("no-cache=\"set-cookie\", max-age=600", 1),
    ("max-age=0", 1),
    ("max-age=-1", 1), ("max-age=abc", 1), ("max-age", 1), ("max-age=", 1), ("max-age=1.5", 1),
    ("max-age=\"600", 1),
    ("", 300), (",,,", 300), ("public", 300), ("max-ages=600", 300), ("xmax-age=600", 300),
    ("\"max-age=600\"", 300),
    ("foo=\"max-age=600", 300), ("foo=\"\\", 300),
  ])
  func cacheControl(_ value: String, _ seconds: Int64) {
    #expect(lifetime([("Cache-Control", value)]) == seconds)
  }

  @Test func severalFieldsAreOneList() {
    #expect(lifetime([("Cache-Control", "max-age=600"), ("Cache-Control", "max-age=60")]) == 60)
    #expect(lifetime([("Cache-Control", "max-age=600"), ("Cache-Control", "no-cache")]) == 1)
  }

  @Test func ageIsTakenOff() {
    #expect(lifetime([("Cache-Control", "max-age=600"), ("Age", "90")]) == 510)
    #expect(lifetime([("Age", " 90 "), ("Cache-Control", "max-age=600"), ("Age", "10")]) == 510)
    #expect(lifetime([("Cache-Control", "max-age=600"), ("Age", "900")]) == 1)
    #expect(lifetime([("Cache-Control", "max-age=600"), ("Age", "-5"), ("Age", "x"), ("Age", "")]) == 600)
  }

  @Test func expiresCountsFromTheAnswersOwnDate() {
    let later = ("Expires", "Sun, 06 Nov 1994 08:59:37 GMT")
    #expect(lifetime([later, ("Date", Self.date)]) == 600)
    #expect(lifetime([later, ("Date", Self.date), ("Cache-Control", "max-age=90")]) == 90)
    #expect(lifetime([later]) == 300)
    #expect(lifetime([("Expires", "0"), ("Date", Self.date)]) == 1)
    #expect(lifetime([("Expires", "Sun, 06 Nov 1994 08:00:00 GMT"), ("Date", Self.date)]) == 1)
  }

  @Test func aSPIFFEHintIsForTheOtherwiseSilent() {
    #expect(lifetime([], hint: 120) == 120)
    #expect(lifetime([("Cache-Control", "max-age=90")], hint: 120) == 90)
    #expect(lifetime([], hint: -7) == 1)
    #expect(lifetime([], hint: .max) == 604_800)
  }

  /// Real issuers send 15 s and 38 days.
  @Test(arguments: [("max-age=15", 60), ("max-age=3283200", 3_600), ("no-store", 60), ("max-age=300", 300)])
  func theClampIsNotOptional(_ value: String, _ seconds: Int64) {
    #expect(read([("Cache-Control", value)]).lifetime(hint: nil, RefreshSettings()) == seconds * 1_000)
  }

  @Test func mustRevalidateIsTold() {
    #expect(read([("Cache-Control", "Must-Revalidate")]).mustRevalidate)
    #expect(!read([("Cache-Control", "max-age=1")]).mustRevalidate)
  }

  @Test func anAnswerWasGeneratedBeforeItsAge() {
    #expect(read([("Date", Self.date), ("Age", "77")]).generated == 784_111_700)
    #expect(read([("Age", "77")]).generated == nil)
  }

  @Test func retryAfter() {
    #expect(read([("Retry-After", "120")]).retryDelay == 120_000)
    #expect(
      read([("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT"), ("Date", Self.date)]).retryDelay == 60_000)
    #expect(read([("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")]).retryDelay == nil)
    #expect(read([("Retry-After", "Sun, 06 Nov 1990 08:50:37 GMT"), ("Date", Self.date)]).retryDelay == 0)
    #expect(read([("Retry-After", "soon")]).retryDelay == nil)
    #expect(read([]).retryDelay == nil)
  }

  @Test(arguments: [
    ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
    ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Wed Nov 16 08:49:37 1994", 784_975_777),
    (" Thu, 01 Jan 1970 00:00:00 GMT ", 0), ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
    ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400), ("Friday, 31-Dec-69 23:59:59 GMT", 3_155_759_999),
    ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
  ])
  func aDateHasThreeForms(_ text: String, _ seconds: Int64) {
    #expect(withBytes(text) { HTTPDate.parse($0) } == seconds)
  }

  @Test(arguments: [
    "", ",", "0", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 31 Feb 2023 08:49:37 GMT",
    "Wed, 29 Feb 2023 00:00:00 GMT", "Thu, 29 Feb 1900 00:00:00 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, -6 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-1994 08:49:37 GMT", "784111777", "Sun, 06 Nov 1994 08:49:3x GMT",
  ])
  func andNothingElseIsOne(_ text: String) {
    #expect(withBytes(text) { HTTPDate.parse($0) } == nil)
  }

  /// Every cut of a header that is read is read without harm.
  @Test func noCutOfAFieldTraps() {
    let text = "private=\"a\\\"b, c\", max-age=\"600\", no-cache, x=,=y"
    for length in 0...text.utf8.count { _ = lifetime([("Cache-Control", String(text.prefix(length)))]) }
    for length in 0...Self.date.utf8.count {
      _ = withBytes(String(Self.date.prefix(length))) { HTTPDate.parse($0) }
    }
  }
}
