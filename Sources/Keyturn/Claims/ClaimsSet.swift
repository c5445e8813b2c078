/// The registered claims of a JWT, found in one pass over its claims set (RFC 7519 section 4.1).
struct ClaimsSet {
  /// The object that they are the members of.
  let whole: JSONValue
  private(set) var iss: JSONValue?
  private(set) var sub: JSONValue?
  private(set) var aud: JSONValue?
  private(set) var exp: JSONValue?
  private(set) var nbf: JSONValue?
  private(set) var iat: JSONValue?
  private(set) var jti: JSONValue?
  private(set) var cnf: JSONValue?

  static func read(_ text: Bytes, limits: JSONLimits, names: NameTable) throws(Status) -> ClaimsSet {
    guard !text.isEmpty else { throw .malformed }
    guard let whole = JSONValue(text) else { throw .badJSON }
    var claims = ClaimsSet(whole: whole)
    try JSON.readObject(text, limits: limits, names: names) { (name, value) in claims.note(name, value) }
    return claims
  }

  /// Of an object that is validated elsewhere.
  init(members whole: JSONValue) {
    self.init(whole: whole)
    var rest = whole.members()
    while let (name, value) = rest.next() { note(name, value) }
  }

  private init(whole: JSONValue) { self.whole = whole }

  @_optimize(speed)  // compares in place, where a smaller build calls memcmp eight times
  private mutating func note(_ name: JSONString, _ value: JSONValue) {
    guard name.escaped || name.raw.count == 3 else { return }
    if name.isNamed("iss") { iss = value }
    if name.isNamed("sub") { sub = value }
    if name.isNamed("aud") { aud = value }
    if name.isNamed("exp") { exp = value }
    if name.isNamed("nbf") { nbf = value }
    if name.isNamed("iat") { iat = value }
    if name.isNamed("jti") { jti = value }
    if name.isNamed("cnf") { cnf = value }
  }

  /// A claim that must be a string where it is present at all.
  static func string(_ claim: JSONValue?) throws(Status) -> JSONString? {
    guard let claim else { return nil }
    guard let string = claim.string else { throw .claimType }
    return string
  }

  /// A claim that must be a NumericDate where it is present at all.
  static func date(_ claim: JSONValue?) throws(Status) -> NumericDate? {
    guard let claim else { return nil }
    guard let date = claim.number?.numericDate else { throw .claimType }
    return date
  }
}
