import CKeyturnAPI

/// A token, judged by the library.
final class Verification {
  private let result: OpaquePointer

  private(set) var status: jwt_status

  init(_ token: [UInt8], by policy: PolicyHandle) throws(Complaint) {
    var made: OpaquePointer?
    status = jwt_result_new(&made)
    guard let made else { throw Complaint(status.sentence) }
    result = made
    again(token, by: policy)
  }

  deinit { jwt_result_release(result) }

  func again(_ token: [UInt8], by policy: PolicyHandle) {
    status = token.withUnsafeBytes { octets in
      let text = octets.bindMemory(to: CChar.self).baseAddress
      return withUnsafePointer(to: CChar(0)) { nothing in
        jwt_verify(policy.policy, text ?? nothing, octets.count, result)
      }
    }
  }

  /// What it is about: names of claims and options, never a value.
  var detail: String { String(cString: jwt_result_detail(result)) }
  var kid: String { jwt_result_kid(result).text }
  var thumbprint: String { jwt_result_thumbprint(result).text }
  var algorithm: String { jwt_result_algorithm(result).map { String(cString: $0) } ?? "" }
  var issuer: String { jwt_result_issuer(result).text }
  var payload: [UInt8] { Array(jwt_result_payload(result).octets) }
  /// In Unix seconds; nil for a token without.
  var expiry: Int64? {
    let expiry = jwt_result_expiry(result)
    return expiry == .max ? nil : expiry
  }

  /// Neither yes nor no.
  var isWithoutKeys: Bool { jwt_status_http(status) == 503 }
}
