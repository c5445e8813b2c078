import Testing

@testable import Keyturn

private func decode(_ text: [UInt8], room: Int? = nil) -> [UInt8]? {
  let (source, target) = (Octets(text), Octets(room: room ?? Base64URL.decodedCount(text.count)))
  guard let count = Base64URL.decode(source.bytes, into: target.room) else { return nil }
  return Array(target.array.prefix(count))
}

private func decode(_ text: String) -> [UInt8]? { decode(Array(text.utf8)) }

private func decodeLenient(_ text: String) -> (octets: [UInt8], lenient: Bool)? {
  let (source, target) = (Octets(text), Octets(room: text.utf8.count))
  guard let (count, lenient) = Base64URL.decodeLenient(source.bytes, into: target.room) else { return nil }
  return (Array(target.array.prefix(count)), lenient)
}

private func encode(_ octets: [UInt8]) -> String {
  let (source, target) = (Octets(octets), Octets(room: octets.count * 2 + 2))
  let count = Base64URL.encode(source.bytes, into: target.room)
  return String(decoding: target.array.prefix(count), as: UTF8.self)
}

struct Base64URLTests {
  /// RFC 4648 section 10, without padding, and the two characters that tell the alphabets apart.
  static let pairs: [(String, String)] = [
    ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
    ("foobar", "Zm9vYmFy"), ("~~~???", "fn5-Pz8_"),
  ]

  @Test(arguments: pairs)
  func readsAndWritesTheRFCsExamples(plain: String, text: String) {
    #expect(decode(text) == Array(plain.utf8))
    #expect(encode(Array(plain.utf8)) == text)
  }

  @Test func readsBackWhatItWrites() {
    var random = SystemRandomNumberGenerator()
    for count in 0..<400 {
      let octets = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      let text = encode(octets)
      #expect(decode(text) == octets)
      #expect(Base64URL.decodedCount(text.utf8.count) == count)
      let lenient = decodeLenient(text)
      #expect(lenient?.octets == octets && lenient?.lenient == false)
    }
  }

  /// All texts of up to two characters, and all last characters of a text of three, by the definition.
  @Test func eachStringOfOctetsHasOneText() {
    var accepted = Set<[UInt8]>()
    var texts = 0
    for a in UInt8.min...255 {
      #expect(decode([a]) == nil)
      for b in UInt8.min...255 {
        if let octets = decode([a, b]) {
          #expect(accepted.insert(octets).inserted)
          texts += 1
        }
      }
      if let octets = decode([0x5a, 0x6d, a]) {
        #expect(accepted.insert(octets).inserted)
        texts += 1
      }
    }
    #expect(texts == 256 + 16)
  }

  /// As long as is read by one character, by four and by sixteen.
  @Test(arguments: [11, 47])
  func everyOctetOutsideTheAlphabetIsRefusedAnywhere(count: Int) {
    let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    for position in 0..<count {
      for octet in UInt8.min...255 {
        var text = [UInt8](repeating: 0x41, count: count)
        text[position] = octet
        // The last character of three carries two bits that must be zero.
        let fits = alphabet.contains(octet) && (position < count - 1 || decode([0x41, 0x41, octet]) != nil)
        #expect((decode(text) != nil) == fits)
      }
    }
  }

  @Test(arguments: [
    "A", "AAAAA", "Zg==", "Zg=", "Zm8=", "=", "====", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9v,", "Zh", "Zm9", "+A",
    "/A",
  ])
  func refusesWhatIsNotCanonical(text: String) {
    #expect(decode(text) == nil)
  }

  @Test func refusesTooSmallARoom() {
    for (plain, text) in Base64URLTests.pairs where !plain.isEmpty {
      #expect(decode(Array(text.utf8), room: plain.utf8.count - 1) == nil)
      #expect(decode(Array(text.utf8), room: plain.utf8.count) == Array(plain.utf8))
      #expect(
        Base64URL.decodeLenient(Octets(text).bytes, into: Octets(room: plain.utf8.count - 1).room) == nil)
      #expect(Base64URL.encode(Octets(plain).bytes, into: Octets(room: text.utf8.count - 1).room) == 0)
    }
    #expect(Base64URL.decode(.empty, into: Octets(room: 0).room) == 0)
    #expect(Base64URL.decodedCount(-1) == 0)
  }

  @Test(arguments: [
    ("Zg==", "f", true), ("Zm8=", "fo", true), ("Zg", "f", false), ("Zm9v", "foo", false), ("", "", false),
    ("fn5+Pz8/", "~~~???", true), ("fn5-Pz8/", "~~~???", true), ("fn5-Pz8_", "~~~???", false),
  ])
  func readsJWKMembersLeniently(text: String, plain: String, lenient: Bool) {
    let read = decodeLenient(text)
    #expect(read?.octets == Array(plain.utf8) && read?.lenient == lenient)
  }

  /// Padding that fills up no group, bits that stand for nothing, commas and space are no dialect of Base64.
  @Test(arguments: [
    "Zg=", "Zg===", "Zm8==", "Zm9v=", "Zm9v==", "Zm9v====", "=", "==", "===", "====", "Zh==", "Zm9=", "Z===",
    "A", "AAAAA",
    "Zm9v Zm9", "Zm9v\nZm8", "Zm,v", "Zm=v", "Zm9\u{0}",
  ])
  func refusesWhatNoIssuerMeans(text: String) {
    #expect(decodeLenient(text) == nil)
  }

  @Test func noPrefixOrFlippedBitTraps() {
    let text = Array("fn5-Pz8_Zm9vYmFyZm9vYmE".utf8)
    var read = 0
    for length in 0...text.count {
      for bit in 0..<max(1, length * 8) {
        var mutant = Array(text.prefix(length))
        if length > 0 { mutant[bit / 8] ^= 1 << (bit % 8) }
        read += decode(mutant) == nil ? 0 : 1
      }
    }
    #expect(read > 300)
  }
}
