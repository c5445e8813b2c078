public import CKeyturnAPI

@_cdecl("jwt_status_name") @implementation
public func jwt_status_name(_ status: jwt_status) -> UnsafePointer<CChar>? {
  unsafe CString.of(StatusText.name(status))
}

@_cdecl("jwt_status_message") @implementation
public func jwt_status_message(_ status: jwt_status) -> UnsafePointer<CChar>? {
  unsafe CString.of(StatusText.message(status))
}

@_cdecl("jwt_status_http") @implementation
public func jwt_status_http(_ status: jwt_status) -> Int32 {
  guard status != JWT_OK else { return 200 }
  guard let known = Status(rawValue: status.rawValue) else { return 500 }
  switch known.rawValue {
  case 100..<400: return 401
  case 400..<500: return 403
  case 500..<600: return 503
  default: return 500
  }
}

enum StatusText {
  static func name(_ status: jwt_status) -> StaticString { texts(status).name }
  static func message(_ status: jwt_status) -> StaticString { texts(status).message }

  @inline(never)
  private static func texts(_ status: jwt_status) -> (name: StaticString, message: StaticString) {
    switch status {
    case JWT_OK: ("JWT_OK", "The token is genuine and allowed.")
    case JWT_MALFORMED: ("JWT_MALFORMED", "The token is not three parts with two dots between them.")
    case JWT_TOO_LARGE: ("JWT_TOO_LARGE", "The token is larger than the policy allows.")
    case JWT_BAD_BASE64: ("JWT_BAD_BASE64", "A part of the token is not canonical Base64url.")
    case JWT_BAD_JSON: ("JWT_BAD_JSON", "The header or the claims set is not a JSON object.")
    case JWT_DUPLICATE_MEMBER: ("JWT_DUPLICATE_MEMBER", "The header or the claims set names a member twice.")
    case JWT_LIMIT_EXCEEDED:
      ("JWT_LIMIT_EXCEEDED", "The header or the claims set is larger or deeper than the policy allows.")
    case JWT_BAD_HEADER: ("JWT_BAD_HEADER", "The header has no alg, or a member of the wrong type.")
    case JWT_CRITICAL_HEADER:
      ("JWT_CRITICAL_HEADER", "The header demands an extension that is not understood.")
    case JWT_ENCRYPTED: ("JWT_ENCRYPTED", "The token is encrypted, not signed.")
    case JWT_MISSING: ("JWT_MISSING", "There is no token.")
    case JWT_ALGORITHM_NOT_ALLOWED: ("JWT_ALGORITHM_NOT_ALLOWED", "The token's algorithm is not allowed.")
    case JWT_KEY_NOT_FOUND:
      ("JWT_KEY_NOT_FOUND", "The issuer publishes no usable key that the token could be signed with.")
    case JWT_KEY_MISMATCH: ("JWT_KEY_MISMATCH", "The key that the token names does not serve its algorithm.")
    case JWT_BAD_SIGNATURE: ("JWT_BAD_SIGNATURE", "The signature is not that of the key.")
    case JWT_KEY_REVOKED: ("JWT_KEY_REVOKED", "The key that the token could be signed with is revoked.")
    case JWT_CLAIM_MISSING: ("JWT_CLAIM_MISSING", "A required claim is missing.")
    case JWT_CLAIM_TYPE: ("JWT_CLAIM_TYPE", "A claim has the wrong type or is out of range.")
    case JWT_ISSUER_UNKNOWN: ("JWT_ISSUER_UNKNOWN", "The token's issuer is not one of the policy's.")
    case JWT_AUDIENCE_MISMATCH: ("JWT_AUDIENCE_MISMATCH", "The token is for another audience.")
    case JWT_EXPIRED: ("JWT_EXPIRED", "The token has expired.")
    case JWT_NOT_YET_VALID: ("JWT_NOT_YET_VALID", "The token is not valid yet.")
    case JWT_ISSUED_IN_FUTURE: ("JWT_ISSUED_IN_FUTURE", "The token was issued in the future.")
    case JWT_LIFETIME_TOO_LONG: ("JWT_LIFETIME_TOO_LONG", "The token lives longer than the policy allows.")
    case JWT_TYPE_MISMATCH: ("JWT_TYPE_MISMATCH", "The token is of another type than the policy requires.")
    case JWT_CONFIRMATION_REQUIRED:
      (
        "JWT_CONFIRMATION_REQUIRED",
        "The token is bound to a key, and nobody confirms that it is its presenter's."
      )
    case JWT_CONFIRMATION_MISMATCH:
      ("JWT_CONFIRMATION_MISMATCH", "The token is bound to another certificate.")
    case JWT_REVOKED: ("JWT_REVOKED", "The token, its subject, or all tokens as old as it, are revoked.")
    case JWT_RULE_FAILED:
      ("JWT_RULE_FAILED", "The token is genuine, but a claim is not what the policy requires.")
    case JWKS_KEYS_UNAVAILABLE: ("JWKS_KEYS_UNAVAILABLE", "The issuer's keys are not at hand.")
    case JWKS_PENDING: ("JWKS_PENDING", "The issuer is being asked for its keys; try once more soon.")
    case JWKS_INVALID_ARGUMENT: ("JWKS_INVALID_ARGUMENT", "An argument is NULL or makes no sense.")
    case JWKS_INVALID_OPTION: ("JWKS_INVALID_OPTION", "An option is refused.")
    case JWKS_INVALID_DOCUMENT: ("JWKS_INVALID_DOCUMENT", "The document is not an acceptable JWK Set.")
    case JWKS_NO_MEMORY: ("JWKS_NO_MEMORY", "There is no memory left; nothing was changed.")
    case JWKS_BUSY:
      ("JWKS_BUSY", "A stalled thread holds back too many retired key sets; nothing was changed.")
    case JWKS_CRYPTO_FAILURE: ("JWKS_CRYPTO_FAILURE", "The cryptographic library could not do its work.")
    case JWKS_REMOVED: ("JWKS_REMOVED", "The issuer was removed from its cache.")
    case JWKS_FULL: ("JWKS_FULL", "The cache holds as many revocations as it may; nothing was changed.")
    case JWKS_NOT_FOUND: ("JWKS_NOT_FOUND", "There is nothing of that kind and value to take back.")
    case JWKS_NO_FETCHER:
      ("JWKS_NO_FETCHER", "Nothing is fetched: the cache has no fetcher, or the issuer has no URL.")
    case JWKS_THROTTLED: ("JWKS_THROTTLED", "The issuer has been asked too often; try again later.")
    case JWKS_RETRY: ("JWKS_RETRY", "What the token waited for is over: verify it again.")
    case JWKS_FORKED: ("JWKS_FORKED", "The cache was started before a fork, and not in this process.")
    case JWKS_NOT_DURABLE: ("JWKS_NOT_DURABLE", "It holds in this process, but could not be written down.")
    case JWKS_NO_THREAD:
      ("JWKS_NO_THREAD", "The system gives no thread or no descriptor; nothing was started.")
    default: ("JWT_UNKNOWN", "The status is not known to this release.")
    }
  }
}
