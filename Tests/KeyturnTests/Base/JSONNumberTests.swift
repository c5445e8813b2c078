import Testing

@testable import Keyturn

private func date(_ text: String) -> NumericDate? { JSONNumber(text: Octets(text).bytes).numericDate }

private func integer(_ text: String) -> Int64? { JSONNumber(text: Octets(text).bytes).integer }

struct JSONNumberTests {
  @Test(
    arguments: [
      ("0", 0), ("-0", 0), ("15", 15), ("1.5e1", 15), ("1.50e1", 15), ("150e-1", 15), ("1.0", 1),
      ("-1.0", -1), ("0.0", 0),
      ("-15E+0", -15), ("0.00015e5", 15), ("1e18", 1_000_000_000_000_000_000),
      ("9007199254740993", 9_007_199_254_740_993),
      ("9223372036854775807", .max), ("-9223372036854775808", .min), ("922337203685477580.7e1", .max),
      ("-92233720368547758080e-1", .min), ("0e999999999999", 0), ("0e-999999999999", 0), ("-0.0e5", 0),
      ("0.000000000000000000000000000001e30", 1), ("1000000000000000000000000000000e-30", 1),
      ("0e99999999999999999999999999999999999999999", 0),
    ] as [(String, Int64)])
  func readsIntegersExactly(text: String, value: Int64) {
    #expect(integer(text) == value)
    #expect(date(text) == NumericDate(seconds: value, hasFraction: false))
  }

  @Test(
    arguments: [
      ("0.5", 0), ("-0.5", -1), ("1.5", 1), ("-1.5", -2), ("15e-1", 1), ("1e-400", 0), ("-1e-400", -1),
      ("1e-99999999999999999999", 0), ("1800000000.25", 1_800_000_000), ("9223372036854775807.9", .max),
      ("-9223372036854775807.1", .min), ("0.9999999999999999999999999", 0),
      ("12.000000000000000000000000000001", 12),
      ("9007199254740993.5", 9_007_199_254_740_993),
    ] as [(String, Int64)])
  func roundsDatesDown(text: String, seconds: Int64) {
    #expect(integer(text) == nil)
    #expect(date(text) == NumericDate(seconds: seconds, hasFraction: true))
  }

  @Test(arguments: [
    "9223372036854775808", "-9223372036854775809", "-9223372036854775808.1", "99999999999999999999", "1e400",
    "-1e400",
    "1e19", "1e99999999999", "1e99999999999999999999999999", "18446744073709551615", "18446744073709551616",
    "-18446744073709551615.5", "18446744073709551610e1", "1844674407370955161.6e1", "0.1e21",
    "9223372036854775808.5",
  ])
  func refusesWhatDoesNotFit(text: String) {
    #expect(date(text) == nil)
    #expect(integer(text) == nil)
  }

  /// A million digits cost a million steps: the exponent is never counted down.
  @Test func longNumbersAreExact() {
    let zeros = String(repeating: "0", count: 1_000_000)
    #expect(integer("1" + zeros + "e-1000000") == 1)
    #expect(integer("0." + zeros + "1e1000001") == 1)
    #expect(integer("0." + zeros + "1e1000000") == nil)
    #expect(date("0." + zeros + "1") == NumericDate(seconds: 0, hasFraction: true))
    #expect(integer("0e" + String(repeating: "9", count: 1_000_000)) == 0)
    #expect(date("1e" + String(repeating: "9", count: 1_000_000)) == nil)
    #expect(date("1" + zeros) == nil)
  }

  /// Not a number at all: any answer will do, but an answer it is.
  @Test func nothingTraps() {
    var read = 0
    for text in [
      "", "-", "+", ".", "e", "e9", "-e", "1e", "1e-", "1e+", "1.", ".5", "--1", "1.1.1", "\u{0}", "1ee5",
      "ß",
    ] {
      read += date(text) == nil ? 0 : 1
    }
    #expect(read > 5)
  }
}
