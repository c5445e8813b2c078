import COpenSSL
import Foundation
import Testing

@testable import Keyturn

/// The signatures of Tests/Vectors/signatures.json, which another implementation made.
@Suite struct SignatureTests {
  struct Case: Decodable {
    let alg: String
    let jwk: [String: String]
    let thumbprint: String
    let input: String
    let signature: String

    var genuine: [UInt8] { octets(base64URL: signature) }
  }

  static func cases() throws -> [Case] {
    try JSONDecoder().decode([Case].self, from: vectors("signatures.json"))
  }

  /// The cases that the libcrypto at hand can do: all but ML-DSA on an old one.
  static func possible() throws -> [Case] {
    let offered = names(.supported)
    let possible = try cases().filter { offered.contains($0.alg) }
    try #require(possible.count >= 17)
    return possible
  }

  @Test func everyAlgorithmHasACase() throws {
    #expect(Set(try SignatureTests.cases().map(\.alg)) == names(.known))
  }

  @Test func genuineSignaturesAreAccepted() throws {
    for signature in try SignatureTests.possible() {
      #expect(try verify(signature) == nil, "\(signature.alg)")
    }
  }

  @Test func everyChangeIsRefused() throws {
    for signature in try SignatureTests.possible() {
      let genuine = signature.genuine
      for position in [0, 1, genuine.count / 2 - 1, genuine.count / 2, genuine.count - 1] {
        var changed = genuine
        changed[position] ^= 0x01
        #expect(try verify(signature, with: changed) == .badSignature, "\(signature.alg), octet \(position)")
      }
      #expect(try verify(signature, over: signature.input + "x") == .badSignature, "\(signature.alg)")
      #expect(try verify(signature, over: "") == .badSignature, "\(signature.alg)")
    }
  }

  @Test func everyOtherLengthIsRefused() throws {
    for signature in try SignatureTests.possible() {
      let genuine = signature.genuine
      let half = genuine.count / 2
      let others: [[UInt8]] = [
        [], [0], genuine.dropLast(), genuine + [0], [0] + genuine, Array(genuine[..<half]), genuine + genuine,
        [0] + genuine[..<half] + [0] + genuine[half...], [UInt8](repeating: 0, count: 65_536),
      ]
      for other in others {
        #expect(try verify(signature, with: other) == .badSignature, "\(signature.alg), \(other.count)")
      }
    }
  }

  @Test func noughtsAndOrdersAreRefused() throws {
    for signature in try SignatureTests.possible() {
      for octet: UInt8 in [0x00, 0xff] {
        let same = [UInt8](repeating: octet, count: signature.genuine.count)
        #expect(try verify(signature, with: same) == .badSignature, "\(signature.alg)")
      }
    }
  }

  @Test func aKeyServesNoAlgorithmButItsOwn() throws {
    for signature in try SignatureTests.possible() {
      for other in AlgorithmTests.registered where other != signature.alg {
        #expect(
          try verify(signature, as: other) == expected(signature, as: other), "\(signature.alg) as \(other)")
      }
    }
  }

  /// An RSA key without `alg` could do all six, a secret what it is long enough for, and the keys of RFC 8032
  /// have two names for one algorithm.
  private func expected(_ example: Case, as other: String) -> Status? {
    switch example.jwk["kty"] {
    case "RSA": names(.rsa).contains(other) ? .badSignature : .keyMismatch
    case "oct": other.hasPrefix("HS") && other < example.alg ? .badSignature : .keyMismatch
    case "OKP": other == "EdDSA" || other == example.jwk["crv"] ? nil : .keyMismatch
    default: .keyMismatch
    }
  }

  @Test func libcryptosErrorQueueIsLeftAsItWas() throws {
    for hostErrors in [0, 1, 3] {
      ERR_clear_error()
      for _ in 0..<hostErrors { raiseHostError() }
      let last = ERR_peek_last_error()
      for signature in try SignatureTests.possible() {
        #expect(try verify(signature) == nil)
        #expect(
          try verify(signature, with: [UInt8](repeating: 0xff, count: signature.genuine.count))
            == .badSignature)
      }
      _ = try read(key: #"{"kty":"EC","crv":"P-256","x":"\#(zeros)","y":"\#(zeros)"}"#)
      #expect(ERR_peek_last_error() == last)
      var left = 0
      while ERR_get_error() != 0 { left += 1 }
      #expect(left == hostErrors)
    }
  }

  private var zeros: String { base64URL([UInt8](repeating: 0, count: 32)) }

  /// Any failure of libcrypto's will do.
  private func raiseHostError() {
    unsafe EVP_MD_free(EVP_MD_fetch(nil, "no such digest", nil))
  }

  /// Why the signature is refused, or nil. The key comes without `alg`, so that its type must tell.
  private func verify(
    _ example: Case, with signature: [UInt8]? = nil, over input: String? = nil, as name: String? = nil
  ) throws -> Status? {
    let jwk = String(decoding: try JSONEncoder().encode(example.jwk), as: UTF8.self)
    let rules: KeyRules = example.alg.hasPrefix("HS") ? .secrets : .asymmetric
    let algorithm = try #require(withBytes(name ?? example.alg) { Algorithm(name: $0) })
    return try withBytes(#"{"keys":[\#(jwk)]}"#) { document in
      let set = try JWKSet.read(document, rules: rules)
      let key = try #require(set.entry(0).key)
      return status(key, algorithm, Array((input ?? example.input).utf8), signature ?? example.genuine)
    }
  }

  private func status(_ key: Key, _ algorithm: Algorithm, _ input: [UInt8], _ signature: [UInt8]) -> Status? {
    input.withUnsafeBufferPointer { input in
      signature.withUnsafeBufferPointer { signature in
        do throws(Status) {
          let reader = try Reader.ofThisThread()
          try unsafe key.verify(
            algorithm, input: Bytes(input.baseAddress, count: input.count),
            signature: Bytes(signature.baseAddress, count: signature.count), keeping: reader.contexts)
          return nil
        } catch {
          return error
        }
      }
    }
  }
}
