import ArgumentParser

/// What is revoked, or is so no more: one of these.
struct RevocationArguments: ParsableArguments {
  @Option(help: ArgumentHelp("A key, by its RFC 7638 thumbprint.", valueName: "thumbprint"))
  var thumbprint: String?

  @Option(help: ArgumentHelp("Every key of this kid.", valueName: "kid"))
  var kid: String?

  @Option(help: ArgumentHelp("The token with this jti.", valueName: "jti"))
  var jti: String?

  @Option(help: ArgumentHelp("Every token with this sub.", valueName: "sub"))
  var subject: String?

  @Option(
    help: ArgumentHelp(
      "Every token that was issued before: Unix seconds, ISO 8601, or now.", valueName: "time"))
  var issuedBefore: String?

  private var given: [(Revocation.Kind, String)] {
    [(.thumbprint, thumbprint), (.kid, kid), (.jti, jti), (.subject, subject), (.issuedBefore, issuedBefore)]
      .compactMap { kind, value in value.map { (kind, $0) } }
  }

  func validate() throws {
    guard given.count == 1 else {
      throw ValidationError("Say what, once: --thumbprint, --kid, --jti, --subject or --issued-before.")
    }
    guard issuedBefore == nil || date != nil else {
      throw ValidationError("--issued-before: neither Unix seconds, nor like 2026-11-21T10:00:00Z, nor now.")
    }
  }

  private var date: Int64? { issuedBefore == "now" ? Clock.now : issuedBefore.flatMap(Moment.seconds) }

  func revocation(until: Int64 = 0) -> Revocation {
    let (kind, value) = given[0]
    let isDate = kind == .issuedBefore
    return Revocation(
      kind: kind, value: isDate ? "" : value, issuedBefore: isDate ? date ?? 0 : 0, until: until)
  }
}
