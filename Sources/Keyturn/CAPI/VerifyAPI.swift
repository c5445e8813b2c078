public import CKeyturnAPI

@_cdecl("jwt_verify") @implementation
public func jwt_verify(
  _ policy: OpaquePointer?, _ token: UnsafePointer<CChar>?, _ len: Int, _ result: OpaquePointer?
) -> jwt_status {
  guard let result = unsafe ResultHandle(result) else { return JWKS_INVALID_ARGUMENT }
  return result.fill { (verdict) throws(Status) in
    guard let policy = unsafe Policy(policy), let token = unsafe token, len >= 0 else {
      throw .invalidArgument
    }
    try unsafe Verify.jwt(Bytes(token, len), by: policy, into: &verdict)
  }
}

@_cdecl("jws_verify") @implementation
public func jws_verify(
  _ issuer: OpaquePointer?, _ options: UnsafePointer<jws_options>?, _ token: UnsafePointer<CChar>?,
  _ len: Int,
  _ result: OpaquePointer?
) -> jwt_status {
  guard let result = unsafe ResultHandle(result) else { return JWKS_INVALID_ARGUMENT }
  return result.fill { (verdict) throws(Status) in
    guard let issuer = unsafe Issuer(issuer), let token = unsafe token, len >= 0 else {
      throw .invalidArgument
    }
    let form: Form
    do throws(Fault) { form = try unsafe Form(options) } catch { throw error.status }
    try unsafe Verify.jws(Bytes(token, len), of: issuer, by: form, into: &verdict)
  }
}

extension Form {
  /// What it points to is the caller's, for the length of the call.
  @unsafe fileprivate init(_ options: UnsafePointer<jws_options>?) throws(Fault) {
    var known = unsafe jws_options()
    if let options = unsafe options { try unsafe Options.read(options, into: &known) }
    try unsafe Options.zero(known.reserved, OptionName("reserved"))
    bounds = .ofJWS(token: try unsafe Bounds.token(known.max_token))
    algorithms = Allowed(named: try unsafe Options.algorithms(known.algorithms, OptionName("algorithms")))
    type = try unsafe Options.text(known.type, OptionName("type"), atMost: 256) ?? .empty
  }
}
