import Foundation
import Testing

@testable import Keyturn

/// The sets of real issuers, where they are at hand: they are not part of this project. What must become of
/// each key is written in Tests/Vectors/jwks-real-expected.json, with the numbers of jwks_key_fault.
@Suite struct RealSetsTests {
  struct Expected: Decodable {
    let kid: String?
    let fault: UInt32
    let bits: UInt32?
    let lenient: Bool?
    let thumbprint: String?
  }

  static var folder: URL? {
    let root = URL(filePath: #filePath).appending(path: "../../../..").standardized
    let shared =
      ProcessInfo.processInfo.environment["KEYTURN_SHARED"].map { URL(filePath: $0) }
      ?? root.appending(path: "../shared")
    let folder = shared.appending(path: "vectors/jwks-real").standardized
    return FileManager.default.fileExists(atPath: folder.path()) ? folder : nil
  }

  @Test(.enabled("the sets are not at hand") { RealSetsTests.folder != nil })
  func everyKeyThatCanBeUsedIsUsed() throws {
    let folder = try #require(RealSetsTests.folder)
    let expected = try JSONDecoder().decode(
      [String: [Expected]].self, from: vectors("jwks-real-expected.json"))
    #expect(expected.count == 19)
    for (issuer, rows) in expected {
      let document = try String(contentsOf: folder.appending(path: issuer), encoding: .utf8)
      let keys = try read(document)
      #expect(keys.count == rows.count, "\(issuer)")
      for (key, row) in zip(keys, rows) { compare(key, row, issuer) }
    }
  }

  private func compare(_ key: ReadKey, _ row: Expected, _ issuer: String) {
    #expect(key.fault.rawValue == row.fault, "\(issuer) \(key.kid)")
    #expect(key.kid == row.kid ?? "", "\(issuer)")
    #expect(key.bits == row.bits ?? 0, "\(issuer) \(key.kid)")
    #expect(key.lenient == row.lenient ?? false, "\(issuer) \(key.kid)")
    #expect(key.thumbprint == row.thumbprint ?? "", "\(issuer) \(key.kid)")
    #expect(key.algorithms.isEmpty == (key.fault != .usable), "\(issuer) \(key.kid)")
  }
}
