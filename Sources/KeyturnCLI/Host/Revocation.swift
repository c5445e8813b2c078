import CKeyturnAPI

/// What is revoked of an issuer, in the words of the command line.
struct Revocation: Equatable {
  enum Kind: String, CaseIterable {
    case thumbprint
    case kid
    case jti
    case subject
    case issuedBefore = "issued-before"

    fileprivate var code: jwks_revocation_kind {
      switch self {
      case .thumbprint: JWKS_REVOKE_THUMBPRINT
      case .kid: JWKS_REVOKE_KID
      case .jti: JWKS_REVOKE_JTI
      case .subject: JWKS_REVOKE_SUBJECT
      case .issuedBefore: JWKS_REVOKE_ISSUED_BEFORE
      }
    }
  }

  let kind: Kind
  /// "" for a date.
  let value: String
  /// In Unix seconds.
  var issuedBefore: Int64 = 0
  /// In Unix seconds; 0: for good.
  var until: Int64 = 0

  /// What is there to see of it: a subject is a person.
  var shown: String {
    switch kind {
    case .thumbprint, .kid: value
    case .jti, .subject: Digest.short(value)
    case .issuedBefore: Moment.text(issuedBefore)
    }
  }

  func call(
    _ issuer: IssuerHandle, _ function: (UnsafePointer<jwks_revocation>, inout jwks_error) -> jwt_status
  ) throws(Complaint) {
    let texts = Texts()
    var revocation = jwks_revocation()
    revocation.size = MemoryLayout<jwks_revocation>.size
    revocation.issuer = issuer.issuer
    revocation.kind = kind.code
    if kind == .issuedBefore {
      revocation.issued_before = issuedBefore
    } else {
      revocation.value = texts.keep(value)
      revocation.value_len = value.utf8.count
    }
    revocation.until = until
    try Complaint.unlessDone { error in
      withExtendedLifetime(texts) { function(&revocation, &error) }
    }
  }
}

extension Revocation {
  init?(_ found: jwks_revocation) {
    guard let kind = Kind.allCases.first(where: { $0.code == found.kind }) else { return nil }
    let value = keyturn_span(data: found.value, len: found.value_len).text
    self.init(kind: kind, value: value, issuedBefore: found.issued_before, until: found.until)
  }
}
