// A token that was verified before is not verified anew: what was true of it for good is known, and what may have changed
// since is looked at as for any other, in the snapshot and by the clocks of this moment. A token that is not valid for
// certain is left to the verification, which says why. So a token is refused by one path alone, and nothing that is
// kept need be told of a rotation, a revocation or a removal.

/// A look for one token.
struct Recognition {
  private let tokens: TokenCache
  private let policy: Policy
  private let token: Bytes
  private let hash: UInt64

  /// nil where no tokens are kept.
  @inline(__always)
  init?(_ token: Bytes, by policy: Policy) {
    guard let tokens = policy.cache.tokens else { return nil }
    self.tokens = tokens
    self.policy = policy
    self.token = token
    token.prefetch()
    hash = tokens.hash(of: token, policy: policy.id)
  }

  /// Whether it is known, and as valid as it was.
  @_optimize(speed)
  func accept(_ reader: borrowing Reader, into verdict: inout Verdict) throws(Status) -> Bool {
    defer { reader.endReading() }
    guard let entry = tokens.find(token, hash, policy: policy.id, reader),
      try accept(entry, reader, into: &verdict)
    else {
      reader.count(.notRecognized, of: policy.cache.id)
      return false
    }
    return true
  }

  @inline(__always)
  private func accept(
    _ entry: TokenEntry, _ reader: borrowing Reader, into verdict: inout Verdict
  ) throws(Status) -> Bool {
    let cache = policy.cache
    let known = entry.known
    let now = cache.clock.now
    guard known.isInTime(now), let issuer = policy.issuer(at: known.issuer) else { return false }
    reader.enter()
    defer { reader.leave() }
    guard let snapshot = issuer.served(reader, at: now), let keys = snapshot.keys,
      let key = known.key(in: keys, at: cache.steadyNow)
    else { return false }
    if let revocations = snapshot.revocations, known.isRevoked(by: revocations, at: now) { return false }
    let opened = try verdict.open(token, as: entry.texts, header: known.header)
    verdict.accept(
      opened, hasClaims: true, key: key, issuer: issuer, algorithm: known.algorithm,
      expiry: known.expiry)
    reader.count(.accepted, of: issuer.id)
    reader.count(.recognized, of: issuer.id)
    reader.countUse(of: key.id, at: now, expiry: known.expiry)
    return true
  }

  // MARK: - A token that was just verified

  /// Keeps it, if it was seen before. Within the epoch, in which the key was found.
  @inline(__always)
  func learn(
    _ claims: ClaimsSet, _ opened: Verdict.Opened, _ header: JOSEHeader, by key: Key, in keys: KeySet?,
    of issuer: Issuer
  ) {
    guard tokens.hasSeen(hash), let keys else { return }
    learnAgain(claims, opened, header, by: key, in: keys, of: issuer)
  }

  @inline(never)
  private func learnAgain(
    _ claims: ClaimsSet, _ opened: Verdict.Opened, _ header: JOSEHeader, by key: Key, in keys: KeySet,
    of issuer: Issuer
  ) {
    do throws(Status) {
      let hashKey = try HashKey.process
      let kid = header.kid.map { SipHash.hash13($0, key: hashKey) }
      let (shadow, payload) = (opened.shadow, opened.payload)
      guard keys.only(key.id, kid: kid) != nil, let place = policy.terms.issuers.place(of: issuer) else {
        return
      }
      var names = InlineArray<4, UInt64>(repeating: 0)
      names[0] = RevocationName(.thumbprint, key.thumbprint, key: hashKey).hash
      names[1] = RevocationName.hash(.kid, key.kid, hashKey)
      names[2] = RevocationName.hash(.jti, try ClaimsSet.string(claims.jti).map { shadow.plain($0) }, hashKey)
      names[3] = RevocationName.hash(
        .subject, try ClaimsSet.string(claims.sub).map { shadow.plain($0) }, hashKey)
      let lifetime = policy.terms.lifetime
      let expiry = try ClaimsSet.date(claims.exp)
      let issued = try ClaimsSet.date(claims.iat)
      let window = lifetime.window(expiry, try ClaimsSet.date(claims.nbf), issued)
      tokens.add(
        KnownToken(
          policy: policy.id, key: key.id, issuer: place, kid: kid, algorithm: header.algorithm,
          text: token.count, header: opened.header.count, payload: payload.count, validFrom: window.from,
          validUntil: window.until, expiry: expiry?.seconds ?? .max, issued: issued, names: names),
        token, shadow.text.slice(from: 0, length: opened.header.count &+ payload.count), hash)
    } catch { return }
  }
}

extension Cache {
  /// As `TokenCache` numbers them, and then how many were looked for in vain. Of this process alone. Under the control lock.
  func number(ofTokens place: Int) -> UInt64 {
    place == 4 ? Readers.total(of: id, .notRecognized) : tokens?.number(at: place) ?? 0
  }
}
