import Testing

@testable import Keyturn

/// A string of the given text, quotes left out.
private struct Subject {
  let octets: Octets
  init(_ raw: String) { octets = Octets(raw) }
  var string: JSONString {
    JSONString(raw: octets.bytes, escaped: octets.bytes.firstIndex(of: UInt8(ascii: "\\")) != nil)
  }
}

struct JSONStringTests {
  static let contents: [(String, [UInt8])] = [
    ("", []), ("abc", Array("abc".utf8)), (#"\u0061bc"#, Array("abc".utf8)),
    (#"\"\\\/\b\f\n\r\t"#, Array("\"\\/\u{8}\u{c}\n\r\t".utf8)),
    (#"\u0000"#, [0]), (#"a\u0000b"#, [0x61, 0, 0x62]), (#"\u007f"#, [0x7f]), (#"\u0080"#, [0xc2, 0x80]),
    (#"\u07ff"#, [0xdf, 0xbf]), (#"\u0800"#, [0xe0, 0xa0, 0x80]), (#"\uFfFf"#, [0xef, 0xbf, 0xbf]),
    (#"\uD800\uDC00"#, [0xf0, 0x90, 0x80, 0x80]), (#"\udbff\udfff"#, [0xf4, 0x8f, 0xbf, 0xbf]),
    (#"\ud83d\ude00é\u00E9"#, Array("😀éé".utf8)), ("😀é", Array("😀é".utf8)),
  ]

  @Test(arguments: contents)
  func unescapes(raw: String, content: [UInt8]) {
    let subject = Subject(raw)
    let string = subject.string
    #expect(string.content == content)
    #expect(string.unescapedCount == content.count)
    let room = Octets(room: content.count)
    #expect(string.unescape(into: room.room) == content.count)
    #expect(room.array == content)
    if !content.isEmpty { #expect(string.unescape(into: Octets(room: content.count - 1).room) == nil) }
  }

  @Test(arguments: contents)
  func comparesContents(raw: String, content: [UInt8]) {
    let subject = Subject(raw)
    let string = subject.string
    func plain(_ octets: [UInt8], _ holds: (Bytes) -> Bool) -> Bool { holds(Octets(octets).bytes) }
    #expect(plain(content, string.equals))
    #expect(!plain(content + [0], string.equals))
    #expect(!plain(content + [0x61], string.equals))
    for length in 0..<content.count {
      #expect(!plain(Array(content.prefix(length)), string.equals))
      #expect(plain(Array(content.prefix(length)), string.hasPrefix))
      var other = content
      other[length] ^= 1
      #expect(!plain(other, string.equals))
      #expect(!plain(other, string.hasPrefix))
    }
    #expect(plain(content, string.hasPrefix))
    #expect(!plain(content + [0x61], string.hasPrefix))
  }

  @Test func stringsAreEqualAsTheirContentsAre() {
    for (raw, content) in Self.contents {
      for (other, otherContent) in Self.contents {
        let (one, two) = (Subject(raw), Subject(other))
        #expect(one.string.equals(two.string) == (content == otherContent))
      }
    }
  }

  @Test(arguments: [
    ("read", "read", true), ("read write", "read", true), ("read write", "write", true),
    ("a read b", "read", true),
    ("readx", "read", false), ("xread", "read", false), ("rea", "read", false), ("", "read", false),
    (" read ", "read", true),
    ("re ad", "read", false), ("read\\u0020write", "write", true), ("r\\u0065ad", "read", true),
    ("read write", "read write", false),
    ("read\\twrite", "read", false), ("a  b", "b", true), ("read", "", false), ("", "", false),
    ("a  b", "", false),
  ])
  func findsWords(raw: String, word: String, found: Bool) {
    let (subject, word) = (Subject(raw), Octets(word))
    #expect(subject.string.hasWord(word.bytes) == found)
  }

  /// Never given by the reader, but an answer all the same: the content ends where it stops making sense.
  @Test(arguments: [
    #"\"#, #"\x"#, #"\u"#, #"\u12"#, #"\u12g4"#, #"\ud800"#, #"\ud800\"#, #"\ud800\u"#, #"\ud800\u12"#,
  ])
  func endsAtABrokenEscape(raw: String) {
    let subject = Subject("ab" + raw)
    #expect(subject.string.content == Array("ab".utf8))
    let room = Octets(room: 16)
    #expect(subject.string.unescape(into: room.room) == 2)
  }
}
