import Testing

@testable import Keyturn

@Suite struct BytesTests {
  @Test func nothingIsReadOutside() {
    withBytes("abc") { bytes in
      #expect(bytes.byte(at: -1) == nil)
      #expect(bytes.byte(at: 2) == UInt8(ascii: "c"))
      #expect(bytes.byte(at: 3) == nil)
      #expect(bytes.byte(at: .max) == nil)
      #expect(bytes.slice(from: 1).text == "bc")
      #expect(bytes.slice(from: 1, length: 1).text == "b")
      #expect(bytes.slice(from: 3).isEmpty)
      #expect(bytes.slice(from: -1).isEmpty)
      #expect(bytes.slice(from: 0, length: -1).isEmpty)
    }
  }

  @Test func nothingIsWrittenOutside() {
    withRoom(3) { room in
      #expect(!room.set(1, at: 3))
      #expect(!room.set(1, at: -1))
      #expect(!withBytes("abcd") { room.copy($0, at: 0) })
      #expect(!withBytes("ab") { room.copy($0, at: 2) })
      #expect(withBytes("ab") { room.copy($0, at: 1) })
      #expect(room.bytes(3).slice(from: 1).text == "ab")
      #expect(room.bytes(99).count == 3)
    }
  }

  @Test func aSliceKnowsItsPlace() {
    withBytes("header.payload") { whole in
      #expect(whole.slice(from: 7).offset(in: whole) == 7)
      withBytes("payload") { other in #expect(other.offset(in: whole) == nil) }
    }
  }

  @Test(arguments: [
    ("", "", true), ("a", "", false), ("AbC", "aBc", true), ("a@", "a`", false), ("[", "{", false),
  ])
  func caseIsIgnoredForLettersAlone(_ left: String, _ right: String, _ equal: Bool) {
    withBytes(left) { left in
      withBytes(right) { right in #expect(left.equalsIgnoringCase(right) == equal) }
    }
  }

  @Test(arguments: [
    ("plain", true), ("M\u{fc}ller \u{1f511}", true), ("", true), ("tab\t", false), ("line\n", false),
    ("del\u{7f}", false),
    ("nul\0", false),
  ])
  func plainTextHasNoControlCharacters(_ text: String, _ plain: Bool) {
    #expect(withBytes(text) { $0.isPlainText } == plain)
  }

  @Test(arguments: [[0xc0, 0xaf], [0xff], [0xe2, 0x82], [0xed, 0xa0, 0x80]] as [[UInt8]])
  func plainTextIsUTF8(_ octets: [UInt8]) {
    let isPlain = octets.withUnsafeBufferPointer { unsafe Bytes($0.baseAddress, count: $0.count).isPlainText }
    #expect(!isPlain)
  }

  @Test func aTextThatDoesNotFitIsCutAndCounted() {
    withRoom(4) { room in
      var writer = TextWriter(room)
      writer.write("ab")
      writer.write(1_234)
      #expect(writer.count == 6)
      #expect(room.bytes(4).text == "ab1\0")
    }
  }
}
