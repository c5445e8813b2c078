// Revocations as a data structure: what is in them, and that none of them ever changes.
import Testing

@testable import Keyturn

private let key = HashKey(low: 1, high: 2)

private func name(_ value: String, _ kind: RevocationKind = .jti) -> RevocationName {
  RevocationName(kind, Octets(value).bytes, key: key)
}

private func name(_ value: String, hash: UInt64) -> RevocationName {
  RevocationName(.jti, Octets(value).bytes, date: 0, hash: hash)
}

/// As a new tree, with the old one let go.
private func add(_ name: RevocationName, until: Int64 = 0, to tree: inout RevocationTree) throws {
  let revocation = try Revocation.make(name, until: until)
  defer { revocation.release() }
  let old = tree
  tree = try old.with(revocation)
  old.release()
}

private func remove(_ name: RevocationName, from tree: inout RevocationTree) throws {
  let old = tree
  tree = try old.without(name)
  old.release()
}

extension RevocationTree {
  fileprivate var values: Set<String> {
    var values: Set<String> = []
    visit { values.insert($0.name.value.text) }
    return values
  }

  fileprivate var depth: Int {
    guard case .branch(let branch) = self else { return 0 }
    return 1 + (RevocationBranch.ways.times.map { branch.child(at: $0).depth }.max() ?? 0)
  }
}

@Suite struct RevocationTreeTests {
  @Test func itHoldsWhatASetWould() throws {
    var tree = RevocationTree.empty
    var expected: Set<String> = []
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<4_000 {
      let value = String(Int.random(in: 0..<700, using: &generator))
      if Bool.random(using: &generator) {
        try add(name(value), to: &tree)
        expected.insert(value)
      } else {
        try remove(name(value), from: &tree)
        expected.remove(value)
      }
    }
    #expect(tree.values == expected)
    #expect(tree.count == expected.count)
    for value in 0..<700 {
      #expect((tree.find(name(String(value))) != nil) == expected.contains(String(value)))
    }
    for value in expected { try remove(name(value), from: &tree) }
    #expect(tree.isEmpty)
  }

  @Test func anOlderTreeStaysAsItWas() throws {
    var trees: [RevocationTree] = [.empty]
    for value in 0..<200 {
      let revocation = try Revocation.make(name(String(value)), until: 0)
      trees.append(try trees[value].with(revocation))
      revocation.release()
    }
    let fewer = try trees[200].without(name("7"))
    for (count, tree) in trees.enumerated() { #expect(tree.values == Set((0..<count).map(String.init))) }
    #expect(fewer.count == 199)
    for tree in trees { tree.release() }
    #expect(fewer.values == Set((0..<200).map(String.init)).subtracting(["7"]))
    fewer.release()
  }

  /// A change copies as many branches as lie above it.
  @Test func manyLieAFewStepsDeep() throws {
    var tree = RevocationTree.empty
    for value in 0..<65_536 { try add(name(String(value)), to: &tree) }
    #expect(tree.count == 65_536)
    #expect((4...9).contains(tree.depth))
    tree.release()
  }

  @Test func namesOfTheSameHashAreToldApart() throws {
    var tree = RevocationTree.empty
    for value in 0..<16 {
      try add(name(String(value), hash: 0xabcd), to: &tree)
      #expect(tree.count == value + 1)
    }
    try add(name("other", hash: 0x1_0000_0000_abcd), to: &tree)
    for value in 0..<16 {
      #expect(tree.find(name(String(value), hash: 0xabcd))?.name.value.text == String(value))
    }
    #expect(tree.find(name("16", hash: 0xabcd)) == nil)
    #expect(throws: Status.full) { try add(name("16", hash: 0xabcd), to: &tree) }
    #expect(tree.count == 17)
    try add(name("5", hash: 0xabcd), until: 9, to: &tree)
    #expect(tree.count == 17)
    try remove(name("3", hash: 0xabcd), from: &tree)
    for value in 4..<16 {
      #expect(tree.find(name(String(value), hash: 0xabcd))?.until == (value == 5 ? 9 : 0))
    }
    try add(name("16", hash: 0xabcd), to: &tree)
    #expect(tree.find(name("16", hash: 0xabcd)) != nil)
    for value in 0..<17 { try remove(name(String(value), hash: 0xabcd), from: &tree) }
    #expect(tree.values == ["other"])
    tree.release()
  }

  @Test func whatIsOverIsLeftOut() throws {
    var tree = RevocationTree.empty
    for value in 0..<300 { try add(name(String(value)), until: Int64(value % 3), to: &tree) }
    let later = try tree.current(at: 1)
    #expect(later.values == Set((0..<300).filter { $0 % 3 != 1 }.map(String.init)))
    #expect(tree.count == 300)
    let last = try later.current(at: .max)
    #expect(last.values == Set((0..<300).filter { $0 % 3 == 0 }.map(String.init)))
    tree.release()
    later.release()
    last.release()
  }
}

@Suite struct RevocationsTests {
  private static func make(_ entries: [(RevocationName, until: Int64)]) throws -> Revocations? {
    var all: Revocations?
    for entry in entries {
      let revocation = try Revocation.make(entry.0, until: entry.until)
      let next = try Revocations.with(revocation, all)
      revocation.release()
      all?.release()
      all = next
    }
    return all
  }

  /// The process's key: that of look-ups.
  private static func name(_ kind: RevocationKind, _ value: String, date: Int64 = 0) throws -> RevocationName
  {
    RevocationName(kind, Octets(value).bytes, date: date, key: try .process)
  }

  @Test func aValueIsRevokedAsWhatItIs() throws {
    let all = try #require(
      try Self.make([(try Self.name(.jti, "x"), 0), (try Self.name(.subject, "y"), 10)]))
    let (x, y) = (Octets("x").bytes, Octets("y").bytes)
    #expect(all.revoke(.jti, x, at: 0))
    #expect(!all.revoke(.subject, x, at: 0))
    #expect(!all.revoke(.kid, x, at: 0))
    #expect(all.revoke(.subject, y, at: 9))
    #expect(!all.revoke(.subject, y, at: 10))
    #expect(!all.revoke(.jti, .empty, at: 0))
    #expect(!all.revokeIssue(at: nil, at: 0))
    all.release()
  }

  @Test func datesAreBounds() throws {
    let entries: [(RevocationName, until: Int64)] = [
      (try Self.name(.issuedBefore, "", date: 100), 0), (try Self.name(.issuedBefore, "", date: 200), 50),
    ]
    let all = try #require(try Self.make(entries))
    let date = { NumericDate(seconds: $0, hasFraction: $1) }
    #expect(all.dateCount == 2)
    #expect(all.revokeIssue(at: date(199, true), at: 49))
    #expect(!all.revokeIssue(at: date(200, false), at: 49))
    #expect(!all.revokeIssue(at: date(199, false), at: 50))
    #expect(all.revokeIssue(at: date(99, true), at: 50))
    #expect(all.revokeIssue(at: nil, at: 50))
    all.release()
  }

  @Test func sweepsArePaidForByWhatCame() throws {
    let ending = try (0..<64).map { (try Self.name(.jti, String($0)), until: Int64(5)) }
    let all = try #require(try Self.make(ending + [(try Self.name(.issuedBefore, "", date: 1), 5)]))
    #expect(all.isDueForSweep)
    let unchanged = try all.swept(at: 4)
    #expect(unchanged.count == 65)
    #expect(!unchanged.isDueForSweep)
    let empty = try all.swept(at: 5)
    #expect(empty.count == 0)
    #expect(empty.dateCount == 0)
    #expect(all.count == 65)
    for revocations in [all, unchanged, empty] { revocations.release() }
  }

  @Test func replacingCountsOnce() throws {
    let all = try #require(try Self.make([(try Self.name(.jti, "x"), 5), (try Self.name(.jti, "x"), 0)]))
    #expect(all.count == 1)
    #expect(all.find(try Self.name(.jti, "x"))?.until == 0)
    let none = try all.without(try Self.name(.jti, "x"))
    #expect(none.count == 0)
    all.release()
    none.release()
  }
}

@Suite struct StalledReaderTests {
  /// The bound on retired key sets holds back key sets, and nothing else.
  @Test func revocationsDoNotWaitForAStalledReader() async {
    await #expect(processExitsWith: .success) {
      let issuer = try madeIssuer()
      let reader = try Reader.ofThisThread()
      reader.enter()  // and does not leave
      var loads = 0
      while loads < 1_000, load(issuer) { loads += 1 }
      #expect(loads == Epoch.mostKeySets + 1)
      let value = Octets("one").bytes
      for round in 0..<1_000 {
        let name = RevocationName(.kid, value, key: try .process)
        try issuer.cache.revoke(name, until: 0, of: issuer)
        #expect(issuer.snapshot(reader)?.revocations?.revoke(.kid, value, at: 0) == true)
        #expect(issuer.snapshot(reader)?.keys?.count == 1)
        guard round < 999 else { break }
        try issuer.cache.unrevoke(name, of: issuer)
        #expect(issuer.snapshot(reader)?.revocations?.revoke(.kid, value, at: 0) == false)
      }
      #expect(!load(issuer))
      reader.leave()
      #expect(load(issuer))
      #expect(issuer.snapshot(reader)?.revocations?.count == 1)
    }
  }
}

private func madeIssuer() throws -> Issuer {
  let clock = WallClock(nil, context: nil)
  let steady = SteadyClock(nil, context: nil)
  let cache = try Cache.make(
    clock: clock, steady: steady, hook: nil, maximumIssuers: 1, maximumRevocations: 1, maximumFetches: 1,
    maximumEvents: 1, feed: .none, tokens: 0)
  let rules = KeyRules(issuerAlgorithms: .asymmetric, use: .sig, symmetric: false, maxKeys: 2)
  let acceptance = try Acceptance.make { _ in .init(rules: rules, maximumDocument: 1_000) }
  return try cache.add(
    IssuerOptions(name: Octets("issuer").bytes, acceptance: acceptance), SourceTerms.make { _ in .init() },
    { () throws(Fault) in throw .removed })
}

private func load(_ issuer: Issuer) -> Bool {
  let set = """
    {"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
    """
  do throws(Fault) {
    try issuer.load(Octets(set).bytes)
    return true
  } catch {
    #expect(error.status == .busy)
    return false
  }
}
