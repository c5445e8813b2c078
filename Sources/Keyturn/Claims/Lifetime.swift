/// When a token is valid (RFC 7519 sections 4.1.4 to 4.1.6). Dates are exact: seconds, and whether a
/// fraction follows. Arithmetic saturates, so that no date, however far, turns round.
struct Lifetime {
  let leeway: Int64
  /// Of exp - iat; nil is none.
  let maximum: Int64?
  let requiresExpiry: Bool

  /// Throws the first reason against the token at `now`; `place` says which claim it was about.
  /// Returns exp, where there is one.
  func check(_ claims: ClaimsSet, now: Int64, place: inout Place) throws(Status) -> NumericDate? {
    place = Place("exp")
    let exp = try ClaimsSet.date(claims.exp)
    guard exp != nil || !(requiresExpiry || maximum != nil) else { throw .claimMissing }
    if let exp, !exp.isAfter(now.minus(leeway)) { throw .expired }
    place = Place("nbf")
    if let nbf = try ClaimsSet.date(claims.nbf), nbf.isAfter(now.plus(leeway)) { throw .notYetValid }
    place = Place("iat")
    let iat = try ClaimsSet.date(claims.iat)
    if let iat, iat.isAfter(now.plus(leeway)) { throw .issuedInFuture }
    try checkLength(from: iat, to: exp)
    return exp
  }

  /// When a token of these dates, whose length was checked, is valid: from the first moment to before the other.
  func window(_ exp: NumericDate?, _ nbf: NumericDate?, _ iat: NumericDate?) -> (from: Int64, until: Int64) {
    let earliest = max(nbf?.roundedUp ?? .min, iat?.roundedUp ?? .min)
    return (earliest.minus(leeway), exp?.roundedUp.plus(leeway) ?? .max)
  }

  private func checkLength(from iat: NumericDate?, to exp: NumericDate?) throws(Status) {
    guard let maximum, let exp else { return }
    guard let iat else { throw .claimMissing }
    let latest = NumericDate(seconds: iat.seconds.plus(maximum), hasFraction: iat.hasFraction)
    let longer =
      exp.seconds > latest.seconds
      || exp.seconds == latest.seconds && exp.hasFraction && !latest.hasFraction
    guard !longer else { throw .lifetimeTooLong }
  }
}

extension NumericDate {
  fileprivate var roundedUp: Int64 { seconds.plus(hasFraction ? 1 : 0) }

  func isAfter(_ moment: Int64) -> Bool {
    seconds > moment || seconds == moment && hasFraction
  }
}

extension Int64 {
  func plus(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }

  func minus(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other > 0 ? .min : .max) : difference
  }
}
