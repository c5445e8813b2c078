import Testing

@testable import Keyturn

struct JSONTests {
  @Test(arguments: [
    "{}", " {\t}\r\n", #"{"a":1}"#, #"{"":""}"#,
    #"{"a":[],"b":{},"c":[1,2,{"d":[{}]}],"e":null,"f":true,"g":false}"#,
    #"{"a":"\u0000\ud83d\ude00\"\\\/\b\f\n\r\t"}"#,
    "{\"a\":\"\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}\"}",
    #"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#,
    #"{"a":0,"b":-0,"c":1.5e+10,"d":1E-5,"e":-10.01,"f":1e400}"#,
    "{ \"a\" : [ 1 , 2 ] , \"b\" : { \"c\" : 3 } }", #"{"\ud83d\ude00":1,"\ud83d\ude01":2}"#,
  ])
  func reads(text: String) {
    #expect(Reading(text).status == nil)
  }

  @Test(arguments: [
    "", " ", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{\"a\" 1}",
    "{\"a\":1 \"b\":2}", "{\"a\":}",
    "{\"a\":[}", "{\"a\":[1}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":{]}", "{a:1}",
    "{'a':1}", "{1:1}", "{null:1}",
    "{\"a\":tru}", "{\"a\":True}", "{\"a\":truex}", "{\"a\":nul}", "{\"a\":falsy}", "{\"a\":undefined}",
    "{\"a\":NaN}", "{\"a\":Infinity}",
    "{\"a\":-Infinity}", "{}}", "{}{}", "{} x", "{},", "{}\u{0}", "\u{0}{}", "\u{feff}{}", "{}\u{c}",
    "{\u{b}}", "{\u{a0}}", "/**/{}",
    "{}//", "[]", "1", "\"a\"", "null", "true",
    "{\"a\":01}", "{\"a\":-01}", "{\"a\":00}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":5.}", "{\"a\":-}",
    "{\"a\":1e}", "{\"a\":1e+}", "{\"a\":1.e5}",
    "{\"a\":0x10}", "{\"a\":1.5.5}", "{\"a\":1e5e5}", "{\"a\":1e5.5}", "{\"a\":--1}", "{\"a\":1_000}",
    "{\"a\":- 1}",
    #"{"a":"\x41"}"#, #"{"a":"\u12"}"#, #"{"a":"\u12g4"}"#, #"{"a":"\U0041"}"#, #"{"a":"\"}"#, #"{"a":"\"#,
    #"{"a":"\u00"#, #"{"a":"\'"}"#,
    #"{"a":"\ud800"}"#, #"{"a":"\udc00"}"#, #"{"a":"\ud800x"}"#, #"{"a":"\ud800\n"}"#,
    #"{"a":"\ud800\u0041"}"#, #"{"a":"\ud800\ud800"}"#,
    #"{"a":"\udfff\ud800"}"#, #"{"a":"\udc00\udc00"}"#, #"{"\ud800":1}"#, "{\"a\":\"\n\"}", "{\"a\":\"\t\"}",
    "{\"a\":\"\u{0}\"}",
    "{\"a\":\"\u{1f}\"}", "{\"a", "{\"a\":\"b",
    "{\"\n\":1}",
  ])
  func refuses(text: String) {
    #expect(Reading(text).status == .badJSON)
  }

  /// RFC 3629 section 4, at each edge; the same octets in a place where eight are read at once, and at the end.
  @Test(
    arguments: [
      ([0x7f], true), ([0x80], false), ([0xbf], false), ([0xc0, 0x80], false), ([0xc1, 0xbf], false),
      ([0xc2, 0x80], true),
      ([0xc2, 0x7f], false), ([0xc2, 0xc0], false), ([0xdf, 0xbf], true), ([0xc2], false),
      ([0xe0, 0x9f, 0xbf], false),
      ([0xe0, 0xa0, 0x80], true), ([0xe0, 0xa0], false), ([0xe0, 0xa0, 0x7f], false),
      ([0xe1, 0x80, 0x80], true),
      ([0xec, 0xbf, 0xbf], true), ([0xed, 0x9f, 0xbf], true), ([0xed, 0xa0, 0x80], false),
      ([0xee, 0x80, 0x80], true),
      ([0xef, 0xbf, 0xbf], true), ([0xf0, 0x8f, 0xbf, 0xbf], false), ([0xf0, 0x90, 0x80, 0x80], true),
      ([0xf0, 0x90, 0x80], false),
      ([0xf3, 0xbf, 0xbf, 0xbf], true), ([0xf1, 0x80, 0x80, 0xc0], false), ([0xf4, 0x8f, 0xbf, 0xbf], true),
      ([0xf4, 0x90, 0x80, 0x80], false), ([0xf5, 0x80, 0x80, 0x80], false), ([0xfe], false), ([0xff], false),
      ([0xf0, 0x90, 0x28, 0x80], false), ([0xef, 0xbb, 0xbf], true),
    ] as [([UInt8], Bool)])
  func holdsStringsToUTF8(octets: [UInt8], isValid: Bool) {
    for before in 0..<10 {
      let text = Array("{\"a\":\"".utf8) + repeatElement(0x61, count: before) + octets
      let status: Status? = isValid ? nil : .badJSON
      #expect(Reading(text + Array("\"}".utf8)).status == status)
      #expect(Reading(text + Array("12345678\"}".utf8)).status == status)
      #expect(Reading(Array("{\"".utf8) + octets + Array("\":1}".utf8)).status == status)
      #expect(Reading(text).status == .badJSON)
    }
  }

  @Test func everyOctetInAStringIsJudged() {
    var accepted = 0
    for octet in UInt8.min...255 {
      for before in 0..<9 {
        let text =
          Array("{\"a\":\"".utf8) + repeatElement(0x61, count: before) + [octet] + Array("bcdefghi\"}".utf8)
        let isPlain = octet >= 0x20 && octet < 0x80 && octet != 0x22 && octet != 0x5c
        // A backslash makes an escape of the "b" behind it.
        let reads = isPlain || octet == 0x5c
        #expect((Reading(text).status == nil) == reads)
        accepted += reads ? 1 : 0
      }
    }
    #expect(accepted == 95 * 9)
  }

  @Test(arguments: [
    #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, #"{"\u0061":1,"a":2}"#, #"{"\u00e9":1,"é":2}"#,
    #"{"":1,"":2}"#, #"{"\ud83d\ude00":1,"😀":2}"#,
    #"{"x":{"a":1,"b":2,"a":3}}"#, #"{"x":[[{"a":1,"a":2}]]}"#, #"{"a":{"b":{}},"a":1}"#,
    #"{"a":[{"a":[{"a":1}]}],"b":1,"a":1}"#,
    #"{"a\/b":1,"a/b":2}"#, #"{"a\u0000":1,"a\u0000":2}"#, #"{"a":1,"a""#, #"{"a":1,"b":{"c":[],"c"# + "\"",
  ])
  func refusesAMemberTwice(text: String) {
    #expect(Reading(text).status == .duplicateMember)
  }

  @Test(arguments: [
    #"{"a":1,"A":2}"#, #"{"a":1,"a\u0000":2}"#, #"{"a\u0000":1,"a\u0000b":2}"#, #"{"a":{"a":{"a":1}}}"#,
    #"{"a":[{"a":1},{"a":2}],"b":1}"#,
    #"{"x":{"a":1},"y":{"a":1},"a":1}"#, #"{"é":1,"e\u0301":2}"#, #"{"":1," ":2}"#,
    #"{"12345678":1,"123456789":2,"1234567":3}"#,
  ])
  func otherNamesAreOthers(text: String) {
    #expect(Reading(text).status == nil)
  }

  @Test func tellsItsOwnMembersInOrder() {
    let reading = Reading(#" { "a" : 1 ,"\u0062":{"x":[1,{"y":2}]} , "c":"s" ,"d":[ 1, 2 ],"e":{} } "#)
    #expect(reading.members.map(\.name) == ["a", "b", "c", "d", "e"])
    #expect(reading.members.map(\.value) == ["1", #"{"x":[1,{"y":2}]}"#, #""s""#, "[ 1, 2 ]", "{}"])
  }

  @Test func tellsNothingOfArraysAndScalars() {
    for text in [
      "[1,{\"a\":2},[3]]", "[]", "[[]]", "[{\"a\":{}}]", "1", "\"a\"", " null ", "-1.5", "true", "false",
    ] {
      let reading = Reading(text, anyKind: true)
      #expect(reading.status == nil && reading.members.isEmpty)
    }
    #expect(Reading("{\"a\":1}", anyKind: true).members.count == 1)
    let octets = Octets("{\"a\":1}")
    let names = Names()
    defer { withExtendedLifetime(names) {} }
    #expect(throws: Never.self) {
      try JSON.validate(octets.bytes, limits: JSONLimits(maxMembers: 1, maxNesting: 1), names: names.table)
    }
  }

  @Test func whatTheListenerThrowsEndsTheReading() {
    let (octets, names) = (Octets(#"{"a":1,"b":2}"#), Names())
    defer { withExtendedLifetime(names) {} }
    var told = 0
    #expect(throws: Status.badHeader) {
      try JSON.readObject(octets.bytes, limits: JSONLimits(maxMembers: 9, maxNesting: 9), names: names.table)
      {
        (_, _) throws(Status) in
        told += 1
        throw .badHeader
      }
    }
    #expect(told == 1)
  }

  @Test func countsMembersAtAllDepths() {
    for text in [#"{"a":1,"b":2,"c":3}"#, #"{"a":{"a":{"a":1}}}"#, #"{"a":[{"a":1},{"a":1}]}"#] {
      #expect(Reading(text, maxMembers: 3).status == nil)
      #expect(Reading(text, maxMembers: 2).status == .limitExceeded)
    }
    #expect(Reading("{}", maxMembers: 0).status == nil)
    #expect(Reading("{\"a\":1}", maxMembers: 0).status == .limitExceeded)
    // The table's own size is a limit too.
    let names = Names(maxMembers: 2)
    defer { withExtendedLifetime(names) {} }
    #expect(
      Reading(Array(#"{"a":1,"b":2,"c":3}"#.utf8), maxMembers: 9, names: names).status == .limitExceeded)
    #expect(Reading(Array(#"{"a":1,"b":2}"#.utf8), maxMembers: 9, names: names).status == nil)
  }

  @Test(arguments: [1, 2, 31, 32, 33, 63, 64])
  func bearsNestingToItsLimit(limit: Int) {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
      func nested(_ depth: Int) -> String {
        String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
      }
      #expect(Reading(nested(limit), maxNesting: limit, anyKind: true).status == nil)
      #expect(Reading(nested(limit + 1), maxNesting: limit, anyKind: true).status == .limitExceeded)
    }
    #expect(
      Reading(String(repeating: "[", count: limit) + "}", maxNesting: limit, anyKind: true).status == .badJSON
    )
    #expect(Reading("1", maxNesting: 0, anyKind: true).status == nil)
    #expect(Reading("[]", maxNesting: 0, anyKind: true).status == .limitExceeded)
    #expect(
      Reading(String(repeating: "[", count: 65), maxNesting: 1000, anyKind: true).status == .limitExceeded)
  }

  /// After an inner object has ended, the outer one's names are known again, at every depth.
  @Test func comesBackToTheOuterObject() {
    for depth in 1..<64 {
      let open = String(repeating: "{\"a\":1,\"b\":", count: depth)
      let close = String(repeating: ",\"c\":1}", count: depth)
      #expect(Reading(open + "{}" + close, maxNesting: 64).status == nil)
      for level in 0..<depth {
        let tail = String(repeating: ",\"c\":1}", count: level) + ",\"a\":1}"
        #expect(Reading(open + "{}" + tail, maxNesting: 64).status == .duplicateMember)
      }
    }
  }

  @Test func noPrefixOrFlippedBitTraps() {
    let text = Array(
      #"{"alg":"RS256","k\u0069d":"é\ud83d\ude00","n":[-1.5e+3,0,true,false,null,{"a":{}}],"x":"\"\\\/\b"}"#
        .utf8)
    #expect(Reading(text).status == nil)
    for length in 0..<text.count {
      #expect(Reading(Array(text.prefix(length))).status == .badJSON)
    }
    var read = 0
    for bit in 0..<text.count * 8 {
      var mutant = text
      mutant[bit / 8] ^= 1 << (bit % 8)
      read += Reading(mutant).status == nil ? 1 : 0
    }
    #expect(read > 100 && read < text.count * 8)
  }

  /// Sixteen times the text is some sixteen times the work; a reader that looks back would need 256 times.
  @Test(
    arguments: [
      { count in "{\"a\":\"" + String(repeating: "x", count: count) + "\"}" },
      { count in "{\"a\":\"" + String(repeating: "\\u0061", count: count / 6) + "\"}" },
      { count in "{\"a\":[" + String(repeating: "[],", count: count / 3) + "1]}" },
      { count in "{\"a\":[" + String(repeating: "{\"a\":1},", count: count / 8) + "1]}" },
      { count in "{" + (0..<count / 12).map { "\"\($0 + 100_000)\":1" }.joined(separator: ",") + "}" },
      { count in "{\"a\":1" + String(repeating: "0", count: count) + "}" },
      { count in "{\"a\":1" + String(repeating: " ", count: count) + "}" },
      { count in "{\"" + String(repeating: "é", count: count / 2) + "\":1}" },
      { count in "{\"" + String(repeating: "\\\\", count: count / 2) + "\":1}" },
    ] as [@Sendable (Int) -> String])
  func readsInLinearTime(make: @Sendable (Int) -> String) {
    func cost(_ count: Int) -> Double {
      let octets = Octets(make(count))
      let names = Names(maxMembers: 1 << 18)
      defer { withExtendedLifetime(names) {} }
      let limits = JSONLimits(maxMembers: 1 << 18, maxNesting: 64)
      return (0..<5).map { _ in
        work {
          #expect(throws: Never.self) { try JSON.validate(octets.bytes, limits: limits, names: names.table) }
        }
      }.min() ?? 0
    }
    #expect(cost(1 << 18) < cost(1 << 14) * 16 * 5)
  }
}
