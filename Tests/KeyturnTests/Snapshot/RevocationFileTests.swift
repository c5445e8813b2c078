// Revocations as the content of a file: what is written is read, nothing else is, and what is not durable stays.
import Testing

@testable import Keyturn

private var issuer: Bytes { Octets("https://issuer.example").bytes }

private func name(_ kind: RevocationKind, _ value: String, date: Int64 = 0) throws -> RevocationName {
  RevocationName(kind, Octets(value).bytes, date: date, key: try .process)
}

private typealias Wanted = (name: RevocationName, until: Int64)

private func make(_ entries: [Wanted], durable: Bool = false) throws -> Revocations? {
  var all: Revocations?
  for entry in entries {
    let revocation = try Revocation.make(entry.name, until: entry.until)
    if durable { revocation.setDurable() }
    let next = try Revocations.with(revocation, all)
    revocation.release()
    all?.release()
    all = next
  }
  return all
}

private func written(_ revocations: Revocations?, sequence: UInt64 = 1, now: Int64 = 0) -> [UInt8] {
  let room = Octets(room: RevocationFile.size(of: revocations, issuer: issuer, now: now))
  RevocationFile.write(revocations, sequence: sequence, issuer: issuer, now: now, into: room.room)
  return room.array
}

private func read(_ octets: [UInt8]) throws(Status) -> RevocationFile {
  try RevocationFile(Octets(octets).bytes, of: issuer)
}

extension Revocations {
  fileprivate var texts: Set<String> {
    var texts: Set<String> = []
    visit { texts.insert("\($0.name.kind) \($0.name.value.text) \($0.name.date) \($0.until)") }
    return texts
  }
}

@Suite struct RevocationFileTests {
  private static func oneOfEach() throws -> [Wanted] {
    [
      (try name(.thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"), 0), (try name(.kid, "k"), 7),
      (try name(.jti, "j\0j"), 0), (try name(.subject, String(repeating: "s", count: 4_096)), .max),
      (try name(.issuedBefore, "", date: 9), 3),
    ]
  }

  @Test func whatIsWrittenIsRead() throws {
    let all = try #require(try make(try Self.oneOfEach()))
    let file = try read(written(all, sequence: 41))
    #expect(file.sequence == 41)
    let again = try Revocations.merged(file, nil)
    #expect(again.count == 5)
    #expect(again.dateCount == 1)
    #expect(again.texts == all.texts)
    again.visit { #expect($0.isDurable) }
    again.release()
    all.release()
  }

  @Test func noneAreAFileToo() throws {
    let file = try read(written(nil))
    #expect(file.count == 0)
    let none = try Revocations.merged(file, nil)
    #expect(none.count == 0)
    none.release()
  }

  @Test func manyAreReadAsTheyWere() throws {
    let all = try #require(try make(try (0..<5_000).map { (try name(.jti, "token \($0)"), Int64($0)) }))
    let again = try Revocations.merged(try read(written(all)), nil)
    #expect(again.count == 5_000)
    #expect(again.texts == all.texts)
    again.release()
    all.release()
  }

  @Test func whatIsOverIsLeftOut() throws {
    let all = try #require(try make(try Self.oneOfEach()))
    let file = try read(written(all, now: 7))
    #expect(file.count == 3)
    all.release()
  }

  @Test func everyTruncationIsRefused() throws {
    let all = try #require(try make(try Self.oneOfEach()))
    let whole = written(all)
    for length in 0..<whole.count {
      #expect(throws: Status.self, "\(length)") { _ = try read(Array(whole.prefix(length))) }
    }
    #expect(throws: Status.invalidDocument) { _ = try read(whole + [0]) }
    all.release()
  }

  /// The sum around the content sees every flipped bit; without it none leads astray.
  @Test func aFlippedBitIsRefusedOrAnotherValue() throws {
    let all = try #require(try make(try Self.oneOfEach().filter { $0.name.value.count < 50 }))
    var whole = written(all)
    var read = 0
    for bit in 0..<(whole.count * 8) {
      whole[bit / 8] ^= 1 << (bit % 8)
      if let file = try? RevocationFile(Octets(whole).bytes, of: issuer) {
        #expect(file.count == 4)
        read += 1
      }
      whole[bit / 8] ^= 1 << (bit % 8)
    }
    #expect((1..<whole.count * 8).contains(read))
    all.release()
  }

  @Test func anotherIssuersIsRefused() throws {
    let octets = written(nil)
    #expect(throws: Status.invalidDocument) {
      _ = try RevocationFile(Octets(octets).bytes, of: Octets("https://issuer.examplf").bytes)
    }
  }

  @Test(
    arguments: [
      (0, 0, 0, "x"), (6, 0, 0, "x"), (255, 0, 0, "x"), (2, 1, 0, "x"), (2, 0, -1, "x"), (2, 0, 0, ""),
      (5, 0, 0, ""), (5, -1, 0, ""), (5, 1, 0, "x"), (1, 0, 0, "no thumbprint"),
    ] as [(UInt64, Int64, Int64, String)])
  func whatNoCallWouldTakeIsRefused(kind: UInt64, date: Int64, until: Int64, value: String) throws {
    let numbers: [UInt64] = [
      UInt64(value.utf8.count) << 8 | kind, UInt64(bitPattern: date), UInt64(bitPattern: until),
    ]
    let entry = numbers.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
    var octets = written(nil) + entry + Array(value.utf8)
    octets[8] = 1
    #expect(throws: Status.invalidDocument) { _ = try read(octets) }
  }

  @Test func oneThatIsThereTwiceIsRefused() throws {
    let one = try #require(try make([(try name(.kid, "k"), 0)]))
    var octets = written(one)
    octets += octets.suffix(25)
    octets[8] = 2
    let file = try read(octets)
    #expect(throws: Status.invalidDocument) { _ = try Revocations.merged(file, nil) }
    one.release()
  }
}

@Suite struct MergedRevocationsTests {
  @Test func whatTheFileHasNotGotStaysIfItIsNotDurable() throws {
    let known = try #require(
      try make([(try name(.kid, "durable"), 0), (try name(.jti, "both"), 0)], durable: true))
    let added = try Revocation.make(try name(.subject, "mine"), until: 0)
    let mine = try Revocations.with(added, known)
    let theirs = try #require(try make([(try name(.jti, "both"), 0), (try name(.jti, "theirs"), 5)]))
    let merged = try Revocations.merged(try read(written(theirs)), mine)
    #expect(merged.texts == ["jti both 0 0", "jti theirs 0 5", "subject mine 0 0"])
    #expect(merged.count == 3)
    #expect(merged.find(try name(.jti, "both")).map { $0 == known.find($0.name)! } == true)
    #expect(mine.texts == ["kid durable 0 0", "jti both 0 0", "subject mine 0 0"])
    for revocations in [known, mine, theirs, merged] { revocations.release() }
    added.release()
  }

  @Test func theLaterWordIsTheOneThatIsNotDurable() throws {
    let mine = try #require(try make([(try name(.jti, "x"), 50)]))
    let theirs = try #require(try make([(try name(.jti, "x"), 10)]))
    let merged = try Revocations.merged(try read(written(theirs)), mine)
    #expect(merged.texts == ["jti x 0 50"])
    #expect(merged.find(try name(.jti, "x"))?.isDurable == false)
    for revocations in [mine, theirs, merged] { revocations.release() }
  }

  @Test func whatIsUnknownIsToldUntilItIsRead() throws {
    let none = try Revocations.told(nil, areUnknown: true)
    #expect(none.areUnknown)
    let revocation = try Revocation.make(try name(.jti, "x"), until: 0)
    let more = try Revocations.with(revocation, none)
    #expect(more.areUnknown)
    let merged = try Revocations.merged(try read(written(nil)), more)
    #expect(!merged.areUnknown)
    #expect(merged.count == 1)
    for revocations in [none, more, merged] { revocations.release() }
    revocation.release()
  }
}
