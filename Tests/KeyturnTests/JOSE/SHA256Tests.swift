import Testing

@testable import Keyturn

@Suite struct SHA256Tests {
  private func digest(_ text: String, room count: Int = 32) throws(Status) -> String {
    let room = Octets(room: count)
    try SHA256.write(Octets(text).bytes, into: room.room)
    let digits = Array("0123456789abcdef")
    return String(room.array.prefix(32).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  /// The examples of FIPS 180-4, as NIST publishes them.
  @Test func itIsTheStandards() throws {
    #expect(try digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(try digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }

  @Test func itWritesNothingIntoTooLittle() {
    #expect(throws: Status.self) { try digest("abc", room: 31) }
  }
}
