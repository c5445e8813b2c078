import Foundation
import Testing

@testable import Keyturn

/// What became of one key of a set, out of the set's memory.
struct ReadKey: Equatable {
  var fault: KeyFault
  var lenient: Bool
  var kid: String
  var thumbprint: String
  var bits: UInt32
  var algorithms: Set<String>
  var declared: Bool

  init(_ entry: JWKSet.Entry) {
    fault = entry.fault
    lenient = entry.lenient
    kid = entry.kid.text
    thumbprint = entry.thumbprint.text
    bits = entry.bits
    algorithms = entry.key.map { names($0.algorithms) } ?? []
    declared = entry.key?.declared ?? false
  }
}

func names(_ set: AlgorithmSet) -> Set<String> {
  var names = Set<String>()
  var rest = set.members
  while let algorithm = rest.next() { names.insert("\(algorithm.name)") }
  return names
}

extension KeyRules {
  static var asymmetric: KeyRules {
    KeyRules(issuerAlgorithms: .asymmetric, use: .sig, symmetric: false, maxKeys: 256)
  }

  static var secrets: KeyRules {
    KeyRules(issuerAlgorithms: .symmetric, use: .sig, symmetric: true, maxKeys: 256)
  }

  static var spiffe: KeyRules {
    KeyRules(issuerAlgorithms: .asymmetric, use: .jwtSVID, symmetric: false, maxKeys: 256)
  }
}

/// A key that every set may have beside the one that a test is about, so that the set is accepted.
let company =
  #"{"kty":"OKP","crv":"Ed25519","kid":"company","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#

let companyOfSecrets = #"{"kty":"oct","kid":"company","k":"\#(base64URL([UInt8](repeating: 7, count: 64)))"}"#

func read(_ document: String, _ rules: KeyRules = .asymmetric) throws -> [ReadKey] {
  try withBytes(document) { document in
    let set = try JWKSet.read(document, rules: rules)
    return (0..<set.count).map { ReadKey(set.entry($0)) }
  }
}

/// What becomes of one key in good company.
func read(key: String, _ rules: KeyRules = .asymmetric) throws -> ReadKey {
  let other =
    switch (rules.symmetric, rules.use) {
    case (true, _): companyOfSecrets
    case (false, .sig): company
    case (false, .jwtSVID): company.replacing("{", with: #"{"use":"jwt-svid","#, maxReplacements: 1)
    }
  let keys = try read(#"{"keys":[\#(key),\#(other)]}"#, rules)
  try #require(keys.count == 2)
  #expect(keys[1].fault == .usable)
  return keys[0]
}

func base64URL(_ octets: [UInt8]) -> String {
  Data(octets).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
    "=", with: "")
}

func octets(base64URL text: String) -> [UInt8] {
  let standard = text.replacing("-", with: "+").replacing("_", with: "/")
  let padded = standard + String(repeating: "=", count: (4 - standard.count % 4) % 4)
  return Data(base64Encoded: padded).map([UInt8].init) ?? []
}

func octets(hex: String) -> [UInt8] {
  let digits = hex.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// A file of Tests/Vectors.
func vectors(_ name: String) throws -> Data {
  let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  return try Data(contentsOf: tests.appending(path: "Vectors").appending(path: name))
}
