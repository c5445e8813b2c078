import Foundation

/// A token as it says it is. Nothing of it is verified.
struct Letter {
  let header: JSON
  /// Nil for a payload that is no JSON.
  let claims: JSON?
  let payload: Data
  let signatureLength: Int

  init(_ token: [UInt8]) throws(Complaint) {
    guard !token.isEmpty else { throw Complaint("there is no token") }
    let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count != 5 else {
      throw Complaint("the token is encrypted (a JWE), and cannot be looked into")
    }
    guard parts.count == 3 else {
      throw Complaint("the token is not three parts with two dots, but \(parts.count)")
    }
    header = try JSON.parse(try Letter.decode(parts[0], "header"), from: "the token's header")
    payload = try Letter.decode(parts[1], "payload")
    claims = try? JSON.parse(payload, from: "payload")
    signatureLength = try Letter.decode(parts[2], "signature").count
  }

  /// A date that could be meant, in Unix seconds.
  func date(_ name: String) -> Int64? {
    claims?[name]?.whole.flatMap { Moment.isMeant($0) ? $0 : nil }
  }

  private static func decode(_ part: ArraySlice<UInt8>, _ name: String) throws(Complaint) -> Data {
    let text = String(decoding: part, as: UTF8.self).replacing("-", with: "+").replacing("_", with: "/")
    let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    guard !text.contains("="), let data = Data(base64Encoded: text + padding) else {
      throw Complaint("the token's \(name) is not Base64url")
    }
    return data
  }
}
