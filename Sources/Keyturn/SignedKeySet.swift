/// A JWK Set that is signed, as the payload of a compact JWS (`signed_jwks_uri` of OpenID Federation 1.0, section
/// 5.2.1). It is opened by the code that opens tokens, by the same rules.
enum SignedKeySet {
  /// In seconds, as for tokens.
  private static var leeway: Int64 { 30 }

  /// Under the control lock. `now` is the wall clock's.
  static func read(
    _ document: Bytes, of issuer: Bytes, by signers: KeySet, _ rules: KeyRules, now: Int64
  ) throws(Fault) -> JWKSet {
    var verdict = Verdict(tokenLength: document.count)
    let payload: Bytes
    let expiry: Int64?
    do throws(Status) {
      payload = try open(document, by: signers, into: &verdict)
      expiry = try check(payload, issuer, now)
    } catch { throw fault(error) }
    var set = try JWKSet.readEvenEmpty(payload, rules: rules)
    set.notes.expiry = expiry
    verdict.clear()
    return set
  }

  /// Whether a document that was accepted is confirmed in vain.
  static func isOver(_ notes: JWKSet.Notes, now: Int64) -> Bool {
    notes.expiry.map { now.minus(leeway) >= $0 } ?? false
  }

  private static func open(
    _ document: Bytes, by signers: KeySet, into verdict: inout Verdict
  ) throws(Status) -> Bytes {
    let form = Form(
      bounds: .ofJWS(token: document.count), algorithms: Allowed(named: .none), type: Bytes("jwk-set+jwt"))
    let names = try Reader.ofThisThread().names(for: form.bounds)
    let letter = try Letter.open(document, by: form, names: names, into: &verdict)
    let candidates = letter.candidates(in: signers, nil, at: 0, steady: 0, allowed: form.algorithms)
    // Those of the thread are for tokens.
    let memory = try Buffer.of(KeptContexts.size)
    guard let base = unsafe memory.room.pointer else { throw .noMemory }
    let contexts = unsafe KeptContexts(UnsafeMutableRawPointer(base))
    defer { contexts.dropAll() }
    guard try letter.signer(among: candidates, keeping: contexts) != nil else { throw .badSignature }
    return letter.opened.payload
  }

  /// What the payload says of itself, if it does: its exp. It is read whole after this: then what is no JSON is refused.
  private static func check(_ payload: Bytes, _ issuer: Bytes, _ now: Int64) throws(Status) -> Int64? {
    guard let whole = JSONValue(payload) else { throw .badJSON }
    let claims = ClaimsSet(members: whole)
    guard try ClaimsSet.string(claims.iss)?.equals(issuer) ?? true,
      try ClaimsSet.string(claims.sub)?.equals(issuer) ?? true
    else { throw .issuerUnknown }
    var place = Place("")
    return try Lifetime(leeway: leeway, maximum: nil, requiresExpiry: false)
      .check(claims, now: now, place: &place)?.seconds
  }

  private static func fault(_ status: Status) -> Fault {
    switch status {
    case .noMemory: .noMemory
    case .cryptoFailure: Fault(.cryptoFailure, "libcrypto could not verify the document's signature.")
    case .typeMismatch: refused("The document's typ is not jwk-set+jwt.")
    case .keyNotFound, .keyMismatch, .badSignature, .algorithmNotAllowed:
      refused("No key of signed_by has signed the document.")
    case .claimType, .issuerUnknown, .expired, .notYetValid, .issuedInFuture:
      refused("The document is signed for another issuer or another time.")
    default: refused("The document is not a compact JWS, which signed_by asks for.")
    }
  }

  private static func refused(_ sentence: StaticString) -> Fault {
    Fault(.invalidDocument, sentence, option: "signed_by")
  }
}
