import Testing

@testable import Keyturn

@Suite struct JWKSetTests {
  private func fault(_ document: String, _ rules: KeyRules = .asymmetric) -> Fault? {
    withBytes(document) { document in
      do throws(Fault) { _ = try JWKSet.read(document, rules: rules) } catch { return error }
      return nil
    }
  }

  @Test(arguments: [
    "", " ", "null", "[]", "7", "\"keys\"", "{}", "[\(company)]", #"{"keys":null}"#, #"{"keys":{}}"#,
    #"{"keys":"x"}"#, #"{"keys":[]}"#, #"{"Keys":[\#(company)]}"#, #"{"keys":[\#(company)"#,
    #"{"keys":[\#(company)]} x"#, #"{"keys":[\#(company)]}{}"#, #"{"keys":[\#(company),]}"#,
    "\u{feff}" + #"{"keys":[\#(company)]}"#, #"{"keys":[\#(company)],"keys":[]}"#,
    #"{"keys":[],"keys":[\#(company)]}"#,
    #"{"keys":[\#(company)],"a":{"b":1,"b":1}}"#, #"{"keys":[\#(company)],"\u0061":1,"a":1}"#,
    #"{'keys':[\#(company)]}"#, #"{"keys":[\#(company)],"a":01}"#, #"{"keys":[{},7,null]}"#, company,
    "<html><body>502 Bad Gateway</body></html>", #"{"keys":[\#(company)],"a":1"# + "\0}",
    #"{"keys":[\#(company)],"a":true"# + "\0}",
  ])
  func theWholeDocumentIsRefused(_ document: String) {
    let fault = fault(document)
    #expect(fault?.status == .invalidDocument)
    #expect(fault.map { "\($0.sentence)".hasSuffix(".") } == true)
  }

  @Test(arguments: [
    #"{"keys":[\#(company)]}"#, " \n{ \"keys\" : [\(company)]\r\n}\t ",
    #"{"a":{"keys":[]},"spiffe_sequence":1,"spiffe_refresh_hint":600,"keys":[\#(company)],"b":"\u0000"}"#,
    #"{"\u006beys":[\#(company)]}"#,
  ])
  func theWholeDocumentIsAccepted(_ document: String) throws {
    #expect(try read(document).map(\.fault) == [.usable])
  }

  @Test func octetsThatAreNotUTF8AreRefused() {
    let octets = Array(#"{"keys":[\#(company)],"a":""#.utf8) + [0xc3, 0x28] + Array(#""}"#.utf8)
    let status: Status? = octets.withUnsafeBufferPointer { octets in
      let document = unsafe Bytes(octets.baseAddress, count: octets.count)
      do throws(Fault) { _ = try JWKSet.read(document, rules: .asymmetric) } catch { return error.status }
      return nil
    }
    #expect(status == .invalidDocument)
  }

  @Test func deepNestingIsRefusedAndToldByItsLine() {
    func nested(_ depth: Int, _ open: String, _ close: String) -> String {
      String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
    }
    func document(_ value: String) -> String { "{\n\"a\":\(value),\n\"keys\":[\(company)]}" }
    #expect(fault(document(nested(63, "[", "]"))) == nil)
    #expect(fault(document(nested(63, #"{"a":"#, "}"))) == nil)
    #expect(fault(document("\"\(String(repeating: "[{", count: 1000))\\\"[[[[\"")) == nil)
    for depth in [64, 1000, 100_000] {
      #expect(fault(document(nested(depth, "[", "]")))?.line == 2)
      #expect(fault(document(nested(depth, #"{"a":"#, "}")))?.status == .invalidDocument)
      #expect(fault(String(repeating: "[", count: depth + 1))?.status == .invalidDocument)
    }
  }

  @Test func brokenJSONIsToldByItsLine() {
    #expect(fault("{\n\"keys\":\n[}")?.line == 3)
    #expect(fault("{\"a\":1,\n\"a\":2}")?.line == 2)
  }

  @Test func moreKeysThanAllowedRefuseTheWholeSet() throws {
    func document(_ count: Int) -> String {
      #"{"keys":[\#((0..<count).map { JWKTests.okp(#","kid":"\#($0)""#) }.joined(separator: ","))]}"#
    }
    var rules = KeyRules.asymmetric
    rules.maxKeys = 3
    #expect(try read(document(3), rules).count == 3)
    let fault = fault(document(4), rules)
    #expect(fault?.status == .invalidDocument)
    #expect(fault.map { "\($0.option)" } == "max_keys")
    #expect(try read(document(256)).filter { $0.fault == .usable }.count == 256)
  }

  @Test func singleBadKeysLeaveTheOthersAlone() throws {
    let document =
      #"{"keys":[null,{},\#(JWKTests.rsa(#","use":"enc","kid":"e""#)),\#(company),[],\#(JWKTests.oct())]}"#
    let keys = try read(document)
    #expect(keys.map(\.fault) == [.notAnObject, .unknownType, .otherUse, .usable, .notAnObject, .symmetric])
    #expect(keys.map(\.kid) == ["", "", "e", "company", "", ""])
    #expect(keys[2].thumbprint.count == 43 && keys[2].bits == 2048)
  }

  @Test func anExactRepetitionIsOneKey() throws {
    let (one, other) = (JWKTests.rsa(#","kid":"a""#), JWKTests.rsa(#","kid":"b""#))
    let keys = try read(
      #"{"keys":[\#(one),\#(other),\#(one),\#(JWKTests.rsa()),\#(JWKTests.rsa(#","kid":"""#))]}"#)
    #expect(keys.map(\.fault) == [.usable, .usable, .repeated, .usable, .usable])
  }

  @Test func twoKeysMayShareAKid() throws {
    let keys = try read(#"{"keys":[\#(JWKTests.rsa(#","kid":"a""#)),\#(JWKTests.ec(#","kid":"a""#))]}"#)
    #expect(keys.map(\.fault) == [.usable, .usable])
    #expect(keys.map(\.kid) == ["a", "a"])
  }

  @Test func outsideTheSetThereIsNoKey() throws {
    try withBytes(#"{"keys":[\#(company)]}"#) { document in
      let set = try JWKSet.read(document, rules: .asymmetric)
      for position in [-1, 1, .min, .max] { #expect(set.entry(position).key == nil) }
    }
  }

  @Test func recordsAreSharedBetweenSets() throws {
    let old = #"{"keys":[\#(JWKTests.rsa(#","kid":"a""#)),\#(JWKTests.ec(#","kid":"b""#))]}"#
    let new = #"{"keys":[\#(JWKTests.ec(#","kid":"b""#)),\#(JWKTests.rsa(#","kid":"c""#))]}"#
    try withBytes(old) { old in
      try withBytes(new) { new in
        let first = try JWKSet.read(old, rules: .asymmetric)
        let second = try JWKSet.read(new, rules: .asymmetric)
        let kept = try #require(first.entry(1).key)
        let before = try #require(second.entry(0).key)
        #expect(kept != before && kept.id != before.id && kept.sameAs(before))
        second.share { key in key.sameAs(kept) ? kept : nil }
        #expect(second.entry(0).key == kept)
        #expect(second.entry(1).key.map { $0.kid.text } == "c")
      }
    }
  }

  /// A key outlives its set for those who hold it.
  @Test func aHeldKeyOutlivesItsSet() throws {
    let key = try withBytes(#"{"keys":[\#(company)]}"#) { document in
      let set = try JWKSet.read(document, rules: .asymmetric)
      let key = try #require(set.entry(0).key)
      key.retain()
      return key
    }
    #expect(key.kid.text == "company" && key.hasKid && key.thumbprint.count == 43 && key.kind == .ed25519)
    key.release()
  }

  @Test func keysAreTheSameOnlyInAllTheyServe() throws {
    let variants = [
      JWKTests.rsa(#","kid":"a""#), JWKTests.rsa(#","kid":"b""#), JWKTests.rsa(), JWKTests.rsa(#","kid":"""#),
      JWKTests.rsa(#","kid":"a","alg":"RS256""#), JWKTests.rsa(#","kid":"a","alg":"PS256""#),
    ]
    try withBytes(#"{"keys":[\#(variants.joined(separator: ","))]}"#) { document in
      let set = try JWKSet.read(document, rules: .asymmetric)
      for left in variants.indices {
        for right in variants.indices {
          let (a, b) = try (#require(set.entry(left).key), #require(set.entry(right).key))
          #expect(a.sameAs(b) == (left == right))
          #expect((a.id == b.id) == (left == right))
        }
      }
    }
  }
}
