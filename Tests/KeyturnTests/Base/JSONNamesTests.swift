import Testing

@testable import Keyturn

/// Entries in use side by side: what the unluckiest name has to pass.
private func longestRun(_ names: Names) -> (longest: Int, used: Int) {
  let generation = names.memory.load(as: UInt32.self)
  var (run, longest, used) = (0, 0, 0)
  for offset in stride(from: Names.headerCount, to: names.count, by: 16) {
    let isUsed = names.memory.load(fromByteOffset: offset, as: UInt32.self) == generation
    run = isUsed ? run + 1 : 0
    used += isUsed ? 1 : 0
    longest = max(longest, run)
  }
  return (longest, used)
}

private func object(_ names: some Sequence<String>) -> [UInt8] {
  Array(("{" + names.map { "\"\($0)\":1" }.joined(separator: ",") + "}").utf8)
}

struct JSONNamesTests {
  @Test func isAtMostHalfFull() {
    #expect(NameTable.byteCount(maxMembers: 0) == Names.headerCount + 2 * 16)
    #expect(NameTable.byteCount(maxMembers: 512) == Names.headerCount + 1024 * 16)
    #expect(NameTable.byteCount(maxMembers: 513) == Names.headerCount + 2048 * 16)
  }

  /// One name in ever so many objects, and names that share all but their end: no entry is far from where it is
  /// looked for.
  @Test func namesThatAreAlikeDoNotPileUp() {
    let texts = [
      object((0..<4096).map { "\($0)" }),
      object((0..<4096).map { String(repeating: "a", count: 40) + "\($0)" }),
      object(
        (0..<4096).map { String(repeating: "a", count: $0 % 64) + String(repeating: "b", count: $0 / 64) }),
      Array(("{\"x\":[" + repeatElement("{\"a\":1}", count: 4095).joined(separator: ",") + "]}").utf8),
    ]
    for text in texts {
      let names = Names(maxMembers: 4096)
      defer { withExtendedLifetime(names) {} }
      #expect(Reading(text, maxMembers: 4096, names: names).status == nil)
      let (longest, used) = longestRun(names)
      #expect(used == 4096)
      #expect(longest < 100)
    }
  }

  /// Names that share one slot under a key that somebody knows pile up under that key, and under no other.
  @Test func whoDoesNotKnowTheKeyCannotMakeNamesPileUp() {
    let chosen = (0...).lazy.map { "\($0)" }.filter { name in
      var hash = SipHash(key: Names.key)
      hash.absorb(word: 1)
      hash.absorb(last: Octets(name).bytes)
      return hash.finish() & 127 == 5
    }.prefix(64)
    let text = object(chosen)
    for (key, piles) in [
      (Names.key, true), (HashKey(low: 1, high: 2), false), (HashKey(low: 3, high: 4), false),
    ] {
      let names = Names(maxMembers: 64, key: key)
      defer { withExtendedLifetime(names) {} }
      #expect(Reading(text, maxMembers: 64, names: names).status == nil)
      let (longest, used) = longestRun(names)
      #expect(used == 64)
      #expect((longest == 64) == piles)
    }
  }

  /// A table of two slots for one member: names of earlier texts are as good as gone.
  @Test func eachTextBeginsAnew() {
    let names = Names(maxMembers: 1)
    defer { withExtendedLifetime(names) {} }
    for round in 0..<100 {
      #expect(Reading(Array("{\"a\":\(round)}".utf8), maxMembers: 1, names: names).status == nil)
      #expect(Reading(Array("{\"b\":1,\"a\":1}".utf8), maxMembers: 1, names: names).status == .limitExceeded)
      #expect(Reading(Array("{\"b\":".utf8), maxMembers: 1, names: names).status == .badJSON)
    }
  }

  @Test func generationsComeRound() {
    let names = Names(maxMembers: 4)
    defer { withExtendedLifetime(names) {} }
    let once = Array("{\"a\":1}".utf8)
    #expect(Reading(once, names: names).status == nil)
    #expect(names.memory.load(as: UInt32.self) == 1)
    names.memory.storeBytes(of: .max, as: UInt32.self)
    #expect(Reading(once, names: names).status == nil)
    #expect(names.memory.load(as: UInt32.self) == 1)
    #expect(longestRun(names).used == 1)
  }

  /// Two names with one tag are told apart by their objects, then by what they are. Entries are forged: a
  /// collision of 32 bits would take some 2^16 names to come upon.
  @Test(
    arguments: [
      ("b", 1, nil), ("a", 2, nil), ("a", 1, .duplicateMember), ("\\u0061", 1, .duplicateMember),
    ] as [(String, UInt32, Status?)])
  func collidingHashesAreSettledByTheNames(earlier: String, object: UInt32, expected: Status?) {
    let names = Names(maxMembers: 8)
    defer { withExtendedLifetime(names) {} }
    let octets = Octets("{\"a\":1}   \"\(earlier)\"")
    #expect(names.table.begin(octets.bytes))
    var hash = SipHash(key: Names.key)
    hash.absorb(word: 1)
    hash.absorb(last: Octets("a").bytes)
    let value = hash.finish()
    let slot = Names.headerCount + Int(value & 15) * 16
    names.memory.storeBytes(of: 1, toByteOffset: slot, as: UInt32.self)
    names.memory.storeBytes(of: UInt32(value >> 32), toByteOffset: slot + 4, as: UInt32.self)
    names.memory.storeBytes(of: object, toByteOffset: slot + 8, as: UInt32.self)
    names.memory.storeBytes(of: 10, toByteOffset: slot + 12, as: UInt32.self)
    var status: Status?
    do throws(Status) {
      let name = JSONString(raw: octets.bytes.slice(from: 2, length: 1), escaped: false)
      try names.table.insert(name, at: 1, in: octets.bytes, object: 1)
    } catch { status = error }
    #expect(status == expected)
  }

  @Test func textsBeyondItsReachAreRefused() {
    let names = Names(maxMembers: 4)
    defer { withExtendedLifetime(names) {} }
    let octet = Octets("{")
    // Only the length is looked at.
    let enormous = octet.bytes.pointer.map { Bytes($0, count: 1 << 32) } ?? .empty
    #expect(enormous.count == 1 << 32)
    #expect(!names.table.begin(enormous))
    #expect(names.table.begin(octet.bytes))
  }
}
