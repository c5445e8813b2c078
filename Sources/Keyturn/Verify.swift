/// A verification, from door to door.
///
/// What costs little and needs no key comes first, so that garbage costs little; what a client could learn
/// something from comes after the signature.
enum Verify {
  static func jwt(_ token: Bytes, by policy: Policy, into verdict: inout Verdict) throws(Status) {
    let reader = try Reader.ofThisThread()
    var witness = Witness(owner: policy.cache.id)
    do throws(Status) {
      let recognition = Recognition(token, by: policy)
      if let recognition, try recognition.accept(reader, into: &verdict) { return }
      try jwt(token, by: policy, reader, recognition, &witness, into: &verdict)
    } catch {
      witness.tell(error, reader, &verdict)
      throw error
    }
  }

  @_optimize(speed)
  private static func jwt(
    _ token: Bytes, by policy: Policy, _ reader: borrowing Reader, _ recognition: Recognition?,
    _ witness: inout Witness, into verdict: inout Verdict
  ) throws(Status) {
    let terms = policy.terms
    let names = try reader.names(for: terms.form.bounds)
    let letter = try Letter.open(token, by: terms.form, names: names, into: &verdict)
    verdict.place = Place("payload")
    let claims = try ClaimsSet.read(letter.opened.payload, limits: terms.form.bounds.claims, names: names)
    let now = policy.cache.clock.now
    verdict.place = Place("iss")
    let issuer = try terms.issuers.issuer(of: claims, shadow: letter.opened.shadow)
    witness.owner = issuer.id
    let expiry = try checkBeforeKey(claims, by: terms, now: now, letter.opened.shadow, &verdict.place)

    reader.enter()
    defer { reader.leave() }
    verdict.place = Place("kid")
    witness.look(at: issuer)
    var snapshot = try issuer.trusted(reader, at: now)
    let key = try letter.key(of: issuer, &snapshot, at: now, allowed: terms.form.algorithms, reader, &witness)
    try checkNotRevoked(claims, snapshot?.revocations, now: now, letter.opened.shadow, &verdict.place)
    try checkAfterSignature(claims, by: terms, letter.opened.shadow, &verdict.place)
    verdict.accept(
      letter.opened, hasClaims: true, key: key, issuer: issuer, algorithm: letter.header.algorithm,
      expiry: expiry)
    reader.count(.accepted, of: issuer.id)
    reader.countUse(of: key.id, at: now, expiry: expiry)
    issuer.cache.note(useOf: key)
    recognition?.learn(claims, letter.opened, letter.header, by: key, in: snapshot?.keys, of: issuer)
  }

  /// A JWS whose payload is not looked at.
  static func jws(_ token: Bytes, of issuer: Issuer, by form: Form, into verdict: inout Verdict)
    throws(Status)
  {
    let reader = try Reader.ofThisThread()
    var witness = Witness(owner: issuer.id)
    do throws(Status) { try jws(token, of: issuer, by: form, reader, &witness, into: &verdict) } catch {
      witness.tell(error, reader, &verdict)
      throw error
    }
  }

  private static func jws(
    _ token: Bytes, of issuer: Issuer, by form: Form, _ reader: borrowing Reader, _ witness: inout Witness,
    into verdict: inout Verdict
  ) throws(Status) {
    let names = try reader.names(for: form.bounds)
    let letter = try Letter.open(token, by: form, names: names, into: &verdict)
    let now = issuer.cache.clock.now

    reader.enter()
    defer { reader.leave() }
    verdict.place = Place("kid")
    witness.look(at: issuer)
    var snapshot = try issuer.trusted(reader, at: now)
    let key = try letter.key(of: issuer, &snapshot, at: now, allowed: form.algorithms, reader, &witness)
    verdict.accept(
      letter.opened, hasClaims: false, key: key, issuer: issuer, algorithm: letter.header.algorithm,
      expiry: .max)
    reader.count(.accepted, of: issuer.id)
    reader.countUse(of: key.id, at: now, expiry: nil)
    issuer.cache.note(useOf: key)
  }

  private static func checkBeforeKey(
    _ claims: ClaimsSet, by terms: Terms, now: Int64, _ shadow: JSONShadow, _ place: inout Place
  ) throws(Status) -> Int64 {
    let expiry = try terms.lifetime.check(claims, now: now, place: &place)
    place = Place("aud")
    try terms.audience.check(claims.aud, shadow: shadow)
    return expiry?.seconds ?? .max
  }

  private static func checkNotRevoked(
    _ claims: ClaimsSet, _ revocations: Revocations?, now: Int64, _ shadow: JSONShadow, _ place: inout Place
  ) throws(Status) {
    guard let revocations else { return }
    place = Place("jti")
    let jti = try ClaimsSet.string(claims.jti).map { shadow.plain($0) } ?? .empty
    guard !revocations.revoke(.jti, jti, at: now) else { throw .revoked }
    place = Place("sub")
    let sub = try ClaimsSet.string(claims.sub).map { shadow.plain($0) } ?? .empty
    guard !revocations.revoke(.subject, sub, at: now) else { throw .revoked }
    place = Place("iat")
    guard !revocations.revokeIssue(at: try ClaimsSet.date(claims.iat), at: now) else { throw .revoked }
  }

  private static func checkAfterSignature(
    _ claims: ClaimsSet, by terms: Terms, _ shadow: JSONShadow, _ place: inout Place
  ) throws(Status) {
    place = Place("sub")
    _ = try ClaimsSet.string(claims.sub)
    place = Place("jti")
    _ = try ClaimsSet.string(claims.jti)
    place = Place("cnf")
    try Confirmation.check(claims.cnf, byHost: terms.hostConfirms)
    for number in terms.rules.count.times {
      guard let rule = terms.rules.item(at: number) else { return }
      place = Place("rules", rule: number, claim: rule.claim)
      try rule.check(claims.whole, shadow: shadow)
    }
  }
}

/// A token whose form is right: opened, read as far as its header, and admitted.
struct Letter {
  let opened: Verdict.Opened
  let header: JOSEHeader
  private let signingInput: Bytes

  @inline(never)
  static func open(
    _ token: Bytes, by form: Form, names: NameTable, into verdict: inout Verdict
  ) throws(Status) -> Letter {
    guard token.count <= form.bounds.token else { throw .tooLarge }
    let jws = try CompactJWS.split(token)
    let opened = try verdict.open(jws, tokenLength: token.count)
    verdict.place = Place("header")
    let header = try JOSEHeader.read(
      opened.header, limits: form.bounds.header, names: names, shadow: opened.shadow)
    try form.admit(header, place: &verdict.place)
    return Letter(opened: opened, header: header, signingInput: jws.signingInput)
  }

  /// The key of the issuer that signed it; only within the epoch. The keys of one issuer never serve another. Where
  /// other keys have come meanwhile, it is they who refuse: what is known of a kid may be known of theirs.
  fileprivate func key(
    of issuer: Issuer, _ snapshot: inout Snapshot?, at now: Int64, allowed: Allowed,
    _ reader: borrowing Reader, _ witness: inout Witness
  ) throws(Status) -> Key {
    while true {
      do throws(Status) {
        return try key(of: issuer, snapshot, at: now, allowed: allowed, keeping: reader.contexts, &witness)
      } catch {
        guard issuer.snapshot(reader) != snapshot else { throw error }
        witness.missed = nil
        snapshot = try issuer.trusted(reader, at: now)
      }
    }
  }

  private func key(
    of issuer: Issuer, _ snapshot: Snapshot?, at now: Int64, allowed: Allowed, keeping contexts: KeptContexts,
    _ witness: inout Witness
  ) throws(Status) -> Key {
    guard let keys = snapshot?.keys else { throw .keysUnavailable }
    let steady = keys.hasLeftovers ? issuer.cache.steadyNow : 0
    let candidates = candidates(in: keys, snapshot?.revocations, at: now, steady: steady, allowed: allowed)
    guard candidates.count > 0 else { throw reason(candidates, issuer, &witness) }
    if let key = try signer(among: candidates, keeping: contexts) { return key }
    throw header.kid != nil && issuer.isRekeying() ? .pending : .badSignature
  }

  func candidates(
    in keys: KeySet, _ revocations: Revocations?, at now: Int64, steady: Int64, allowed: Allowed
  ) -> Candidates {
    let algorithm = header.algorithm
    return Candidates(of: keys, kid: header.kid, revocations: revocations, now: now, steady: steady) { key in
      allowed.lets(key, serve: algorithm)
    }
  }

  func signer(among candidates: Candidates, keeping contexts: KeptContexts) throws(Status) -> Key? {
    for place in candidates.count.times {
      if let key = candidates.key(at: place), try isSigned(by: key, contexts) { return key }
    }
    return nil
  }

  /// A kid that the issuer may have begun to use is worth a question.
  private func reason(_ candidates: Candidates, _ issuer: Issuer, _ witness: inout Witness) -> Status {
    guard candidates.reason == .keyNotFound, let kid = header.kid else { return candidates.reason }
    witness.missed = issuer.missed(kid)
    switch witness.missed {
    case .pending: return .pending
    case .failed: return .keysUnavailable
    default: return .keyNotFound
    }
  }

  private func isSigned(by key: Key, _ contexts: KeptContexts) throws(Status) -> Bool {
    do throws(Status) {
      try key.verify(
        header.algorithm, input: signingInput, signature: opened.signature, keeping: contexts)
      return true
    } catch .badSignature {
      return false
    } catch {
      throw error
    }
  }
}

/// What is known of a token when it is refused, so that it is counted in the right place, and waits for
/// the right flight.
private struct Witness {
  /// Its issuer, or the cache as long as none is known.
  var owner: UInt64
  var missed: Missed?
  private var issuer: Issuer?
  private var stamp: UInt64 = 0

  init(owner: UInt64) { self.owner = owner }

  /// Before anything of it is looked up.
  mutating func look(at issuer: Issuer) {
    self.issuer = issuer
    stamp = issuer.source.stamp
  }

  func tell(_ refusal: Status, _ reader: borrowing Reader, _ verdict: inout Verdict) {
    if refusal == .pending, let issuer { verdict.wait(for: issuer, stamp: stamp) }
    reader.count(Outcome(refusal), of: owner)
    if let missed { reader.count(Outcome(missed), of: owner) }
  }
}

extension Reader {
  /// The thread's table for the names of one text, as large as its bounds ask for.
  func names(for bounds: Bounds) throws(Status) -> NameTable {
    let members = max(bounds.header.maxMembers, bounds.claims.maxMembers)
    let memory = try unsafe scratch(NameTable.byteCount(maxMembers: members))
    return try unsafe NameTable(memory, maxMembers: members, key: .process)
  }
}
