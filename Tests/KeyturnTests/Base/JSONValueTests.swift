import Testing

@testable import Keyturn

/// A value and the text that it borrows from.
private struct Subject {
  let octets: Octets
  init(_ text: String) { octets = Octets(text) }
  init(_ text: [UInt8]) { octets = Octets(text) }
  var value: JSONValue? { JSONValue(octets.bytes) }

  func at(_ pointer: String) -> String? {
    value?.at(pointer: Octets(pointer).bytes)?.text.text
  }

  func member(_ name: String) -> String? {
    value?.member(Octets(name).bytes)?.text.text
  }
}

struct JSONValueTests {
  @Test(
    arguments: [
      ("null", .null), ("true", .boolean), (" false\n", .boolean), ("-1e5", .number), ("7", .number),
      ("\"a\"", .string),
      ("[]", .array), ("\t{}\r", .object),
    ] as [(String, JSONKind)])
  func knowsItsKind(text: String, kind: JSONKind) {
    let subject = Subject(text)
    #expect(subject.value?.kind == kind)
    #expect(subject.value?.text.text == text.filter { !$0.isWhitespace })
  }

  @Test(arguments: ["", " ", "x", "}", ",", "+1", "\u{0}"])
  func nothingIsNoValue(text: String) {
    #expect(Subject(text).value == nil)
  }

  @Test func isReadAsItsOwnKindOnly() {
    let (string, number, yes, no, null) = (
      Subject("\"a\\n\""), Subject("15"), Subject("true"), Subject("false"), Subject("null")
    )
    #expect(string.value?.string?.content == [0x61, 0x0a] && string.value?.string?.escaped == true)
    #expect(Subject("\"a\"").value?.string?.escaped == false)
    #expect(
      number.value?.number?.integer == 15 && number.value?.string == nil && number.value?.boolean == nil)
    #expect(yes.value?.boolean == true && no.value?.boolean == false && yes.value?.number == nil)
    #expect(null.value?.boolean == nil && null.value?.number == nil && null.value?.string == nil)
    for subject in [string, number, yes, null, Subject("[1]")] {
      var members = subject.value?.members()
      #expect(members?.next() == nil)
    }
    for subject in [string, number, yes, null, Subject("{\"a\":1}")] {
      var elements = subject.value?.elements()
      #expect(elements?.next()?.kind == nil)
    }
  }

  @Test func goesThroughMembers() {
    let subject = Subject(
      #" { "a" : 1 , "b\u0062":"x,}]\"" ,"c":[{"d":[]},"]"],"":null,"e":{},"f":-1.5e+3,"g":true} "#)
    var (told, rest): ([String], JSONMembers?) = ([], subject.value?.members())
    while let (name, value) = rest?.next() {
      told.append(String(decoding: name.content, as: UTF8.self) + "=" + value.text.text)
    }
    #expect(told == ["a=1", #"bb="x,}]\"""#, #"c=[{"d":[]},"]"]"#, "=null", "e={}", "f=-1.5e+3", "g=true"])
  }

  @Test func goesThroughElements() {
    let subject = Subject(#"[1e+5 , "a,\\" ,[[],{}],{"x":"]"},null,false,"" ]"#)
    var (told, rest): ([String], JSONElements?) = ([], subject.value?.elements())
    while let value = rest?.next() { told.append(value.text.text) }
    #expect(told == ["1e+5", #""a,\\""#, "[[],{}]", #"{"x":"]"}"#, "null", "false", #""""#])
  }

  @Test func findsMembers() {
    let subject = Subject(#"{"a":{"iss":1},"i\u0073s":2,"x\u0000":3,"":4}"#)
    #expect(subject.member("iss") == "2")
    #expect(subject.member("a") == #"{"iss":1}"#)
    #expect(subject.member("x") == nil)
    #expect(subject.member("x\u{0}") == "3")
    #expect(subject.member("") == "4")
    #expect(subject.member("is") == nil)
    #expect(Subject("[1]").member("0") == nil)
  }

  /// RFC 6901 section 5.
  @Test(arguments: [
    ("/foo", #"["bar","baz"]"#), ("/foo/0", #""bar""#), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"),
    ("/e^f", "3"),
    ("/g|h", "4"), ("/i\\j", "5"), ("/k\"l", "6"), ("/ ", "7"), ("/m~0n", "8"),
  ])
  func readsTheRFCsPointers(pointer: String, text: String) {
    let document =
      #"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#
    #expect(Subject(document).at(pointer) == text)
    #expect(Subject(document).at("") == document)
  }

  @Test(
    arguments: [
      ("/a/0", "1"), ("/a/2/b/1", "5"), ("/a/-", nil), ("/a/00", nil), ("/a/01", nil), ("/a/3", nil),
      ("/a/+1", nil), ("/a/1x", nil),
      ("/a/", nil), ("/a/999999999999999999", nil), ("/a/1000000000000000000", nil),
      ("/a/99999999999999999999999", nil), ("/a/18446744073709551616", nil),
      ("a", nil), ("/a~", nil), ("/a~2", nil), ("/s/0", nil), ("/n/x", nil), ("/ab", nil),
      ("/a/2/b", "[4,5]"), ("/~01", "9"),
      ("/a/2/b/", nil), ("/a//0", nil), ("//", nil), ("/\u{e9}", "7"), ("/x", nil),
    ] as [(String, String?)])
  func followsPointersOnlyWhereTheyLead(pointer: String, text: String?) {
    let document = #"{"a":[1,[2],{"b":[4,5]}],"s":"str","n":null,"~1":9,"\u00e9":7}"#
    #expect(Subject(document).at(pointer) == text)
  }

  /// On texts that were never validated the walks end inside the text.
  @Test func noPrefixOrFlippedBitTraps() {
    let text = Array(#"{"a":[1,-2.5e+3,"\u00e9\n",{"b":null,"c":[true,false]}],"d":{"e":"f"}}"#.utf8)
    var steps = 0
    func walk(_ value: JSONValue) {
      var (elements, members) = (value.elements(), value.members())
      _ = (value.string?.unescapedCount, value.number?.numericDate, value.boolean)
      while let element = elements.next() {
        walk(element)
        steps += 1
      }
      while let member = members.next() {
        walk(member.value)
        steps += member.name.unescapedCount >= 0 ? 1 : 0
      }
    }
    for length in 0...text.count {
      for bit in 0..<max(1, length * 8) {
        var mutant = Array(text.prefix(length))
        if length > 0 { mutant[bit / 8] ^= 1 << (bit % 8) }
        let subject = Subject(mutant)
        if let value = subject.value { walk(value) }
        _ = (subject.at("/a/3/c/1"), subject.member("d"))
      }
    }
    #expect(steps > 10_000)
  }

  @Test(arguments: [
    "[[[[", "{\"a\":{\"a\":", "[,,,]", "{:::}", "[1 2]", "{\"a\"}", "{1:2}", "[\"a", "{\"a\":\"\\", "[}",
    "{]", "]",
  ])
  func brokenTextsHaveAnEnd(text: String) {
    let subject = Subject(text)
    var (elements, members) = (subject.value?.elements(), subject.value?.members())
    var steps = 0
    while elements?.next() != nil || members?.next() != nil { steps += 1 }
    #expect(steps <= text.utf8.count)
  }
}
