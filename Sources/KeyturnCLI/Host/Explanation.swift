import CKeyturnAPI

/// Why a token is refused, found out by asking the library again and again, each time without what it was refused for.
struct Explanation {
  enum Outcome {
    case passed
    case failed(jwt_status, why: String, cure: String)
    case unknown
  }

  struct Step {
    let name: String
    let what: String
    var outcome = Outcome.unknown
  }

  private(set) var steps = Explanation.order.map { Step(name: $0, what: $1) }
  /// Of the token as it is.
  private(set) var firstFailure: jwt_status?

  private let token: [UInt8]
  private let letter: Letter?
  private var policy: PolicySettings
  private let clock: Clock
  private let now: Int64

  /// As Verify.swift has it.
  private static let order = [
    ("form", "three parts in Base64url, not too long"), ("header", "one JSON object, without crit"),
    ("alg", "the algorithm is allowed"), ("kid length", "kid is not too long"),
    ("typ", "the type is the one required"),
    ("payload", "the claims are one JSON object"), ("iss", "the issuer is the one expected"),
    ("exp", "it has not expired"), ("nbf", "it is valid already"), ("iat", "it was not issued in the future"),
    ("lifetime", "it does not live too long"), ("aud", "it is for this audience"),
    ("keys", "the issuer's keys are at hand"), ("kid", "the issuer publishes its key"),
    ("signature", "the key has signed it"), ("revocation", "neither it nor its subject is revoked"),
    ("cnf", "if it is bound to a key, somebody checks that"), ("rules", "its claims are what the rules want"),
  ]

  init(_ token: [UInt8], by policy: PolicySettings, clock: Clock) {
    (self.token, self.policy, self.clock) = (token, policy, clock)
    letter = try? Letter(token)
    now = clock.moment ?? Clock.now
  }

  mutating func run(_ bench: Bench) throws(Complaint) {
    for _ in 0..<64 {
      let made = try policy.policy(bench.cache, bench.issuer)
      let verdict = try bench.verify(token, by: made)
      let place = verdict.status == JWT_OK ? steps.count : place(verdict.status, verdict.detail)
      for step in 0..<place where isUnknown(step) { steps[step].outcome = .passed }
      guard place < steps.count else { return }
      firstFailure = firstFailure ?? verdict.status
      let isNew = isUnknown(place)
      if isNew { steps[place].outcome = failure(verdict, bench) }
      guard relax(verdict.status, verdict.detail, isNew) else { return }
    }
  }

  private func isUnknown(_ step: Int) -> Bool {
    if case .unknown = steps[step].outcome { return true }
    return false
  }

  private func step(_ name: String) -> Int { steps.firstIndex { $0.name == name } ?? 0 }

  // MARK: - Which check it was

  private func place(_ status: jwt_status, _ detail: String) -> Int {
    switch status {
    case JWT_ALGORITHM_NOT_ALLOWED: return step("alg")
    case JWT_TYPE_MISMATCH: return step("typ")
    case JWT_ISSUER_UNKNOWN: return step("iss")
    case JWT_AUDIENCE_MISMATCH: return step("aud")
    case JWT_EXPIRED: return step("exp")
    case JWT_NOT_YET_VALID: return step("nbf")
    case JWT_ISSUED_IN_FUTURE: return step("iat")
    case JWT_LIFETIME_TOO_LONG: return step("lifetime")
    case JWKS_KEYS_UNAVAILABLE, JWKS_PENDING: return step("keys")
    case JWT_KEY_NOT_FOUND, JWT_KEY_MISMATCH, JWT_KEY_REVOKED: return step("kid")
    case JWT_BAD_SIGNATURE, JWKS_CRYPTO_FAILURE: return step("signature")
    case JWT_REVOKED: return step("revocation")
    case JWT_CONFIRMATION_REQUIRED: return step("cnf")
    case JWT_RULE_FAILED: return step("rules")
    default: return place(named: detail)
    }
  }

  /// For faults that any part may have: the library says which one has it.
  private func place(named detail: String) -> Int {
    switch detail {
    case "kid": step("kid length")
    case "sub", "jti": step("revocation")
    case "header", "payload", "iss", "exp", "nbf", "iat", "aud", "cnf", "alg", "typ": step(detail)
    case _ where detail.hasPrefix("rules"): step("rules")
    default: step("form")
    }
  }

  // MARK: - What is said of it

  private func failure(_ verdict: Verification, _ bench: Bench) -> Outcome {
    let status = verdict.status
    let detail = verdict.detail.isEmpty ? "" : " (\(verdict.detail))"
    let why =
      verdict.isWithoutKeys
      ? "The issuer's keys are not at hand: \(bench.whyNone)." : status.sentence + detail
    return .failed(status, why: why, cure: cure(status, verdict.detail, bench))
  }

  private func cure(_ status: jwt_status, _ detail: String, _ bench: Bench) -> String {
    switch status {
    case JWT_ALGORITHM_NOT_ALLOWED:
      "allow its algorithm, which is \(said("alg")); or have it signed with one allowed"
    case JWT_TYPE_MISMATCH: "typ must be \(policy.type ?? ""), and is \(said("typ"))"
    case JWT_ISSUER_UNKNOWN: "iss must be \(bench.settings.issuer), and is \(claimed("iss"))"
    case JWT_AUDIENCE_MISMATCH:
      "aud must name one of \(policy.audiences.joined(separator: ", ")), and is \(claimed("aud"))"
    case JWT_EXPIRED:
      "a newer token: this one ended \(date("exp")), and \(policy.effectiveLeeway) s are added"
    case JWT_NOT_YET_VALID:
      "wait, or set the clocks: it begins \(date("nbf")), less \(policy.effectiveLeeway) s"
    case JWT_ISSUED_IN_FUTURE:
      "set the clocks: it was issued \(date("iat")), less \(policy.effectiveLeeway) s"
    case JWT_LIFETIME_TOO_LONG: "exp - iat must be at most \(policy.maxLifetime) s"
    case JWKS_KEYS_UNAVAILABLE, JWKS_PENDING: "the issuer must answer; keyturn keys shows what it publishes"
    case JWT_KEY_NOT_FOUND:
      "the issuer must publish a key with the kid \(said("kid")) for \(said("alg")); it has \(kids(bench))"
    case JWT_KEY_MISMATCH:
      "the key \(said("kid")) must serve \(said("alg")); keyturn keys shows what it serves"
    case JWT_KEY_REVOKED, JWT_REVOKED: "a token that is signed, or issued, anew; or keyturn unrevoke"
    case JWT_BAD_SIGNATURE:
      "the token must come as it was signed, and its kid must be that of the key that signed it"
    case JWT_CONFIRMATION_REQUIRED: "check cnf against the client's certificate, and say host_confirms"
    case JWT_CLAIM_MISSING: "the token must have the claim \(detail)"
    case JWT_RULE_FAILED: "the claim must be what the rule wants: \(detail)"
    case JWT_ENCRYPTED: "it must be decrypted first"
    case JWT_LIMIT_EXCEEDED, JWT_TOO_LARGE: "a smaller token, or a policy that bears more"
    default: "the token must be well formed: keyturn inspect shows it as far as it can be read"
    }
  }

  private func said(_ name: String) -> String { letter?.header[name]?.written() ?? "absent" }
  private func claimed(_ name: String) -> String { letter?.claims?[name]?.written() ?? "absent" }

  private func date(_ name: String) -> String {
    guard let date = letter?.date(name) else { return "at no date" }
    let distance = date - now
    return
      "\(Moment.text(date)) (\(distance < 0 ? "\(Span.text(distance)) ago" : "in \(Span.text(distance))"))"
  }

  private func kids(_ bench: Bench) -> String {
    let kids = (bench.issuer.keys ?? []).filter(\.isUsable).map { $0.kid.isEmpty ? "one without" : $0.kid }
    return kids.isEmpty ? "none" : kids.prefix(16).joined(separator: ", ") + (kids.count > 16 ? ", ..." : "")
  }

  // MARK: - As if it had passed

  /// False where there is no way on.
  private mutating func relax(_ status: jwt_status, _ detail: String, _ isNew: Bool) -> Bool {
    guard isNew || detail.hasPrefix("rules") else { return false }
    switch (status, detail) {
    case (JWT_ALGORITHM_NOT_ALLOWED, _):
      guard let name = letter?.header["alg"]?.text else { return false }
      let bit = jwt_algorithm_from_name(name, name.utf8.count)
      policy.algorithms = bit
      return bit != 0
    case (JWT_TYPE_MISMATCH, _): policy.type = nil
    case (JWT_ISSUER_UNKNOWN, _), (JWT_CLAIM_MISSING, "iss"): policy.allowsAnyIssuer = true
    case (JWT_AUDIENCE_MISMATCH, _), (JWT_CLAIM_MISSING, "aud"):
      (policy.audiences, policy.allowsAnyAudience) = ([], true)
    case (JWT_EXPIRED, _): return travel(to: letter?.date("exp").map { $0 - 1 })
    case (JWT_NOT_YET_VALID, _): return travel(to: letter?.date("nbf"))
    case (JWT_ISSUED_IN_FUTURE, _): return travel(to: letter?.date("iat"))
    case (JWT_CLAIM_MISSING, "exp"), (JWT_CLAIM_MISSING, "iat"), (JWT_LIFETIME_TOO_LONG, _):
      (policy.allowsNoExpiry, policy.maxLifetime) = (true, 0)
    case (JWT_CONFIRMATION_REQUIRED, _): policy.isConfirmed = true
    case (_, _) where detail.hasPrefix("rules["):
      guard let number = Int(detail.dropFirst(6).prefix { $0.isNumber }),
        policy.rules.indices.contains(number)
      else {
        return false
      }
      policy.rules.remove(at: number)
    default: return false
    }
    return true
  }

  private func travel(to moment: Int64?) -> Bool {
    clock.moment = moment ?? clock.moment
    return moment != nil
  }
}
