/// What a token must be: made once from options, whole in one block, and never changed.
///
/// The handle is a borrowed pointer; `retain` and `release` say who holds it. A policy holds its issuers,
/// and through them their cache.
@safe struct Policy {
  private let record: UnsafeMutablePointer<PolicyRecord>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: PolicyRecord.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  /// `terms` builds the terms with all that they point to in the arena that it is given.
  static func make(
    of cache: Cache, terms: (inout Arena) throws(Fault) -> Terms
  ) throws(Fault) -> Policy {
    let (memory, built) = try unsafe Arena.make(behind: PolicyRecord.size, terms)
    unsafe memory.assumingMemoryBound(to: PolicyRecord.self)
      .initialize(to: PolicyRecord(terms: built, cache: cache))
    built.issuers.retain()
    return unsafe Policy(memory)
  }

  var terms: Terms { unsafe record.pointee.terms }
  /// Unlike any other's that this process ever had.
  var id: UInt64 { unsafe record.pointee.id }
  func issuer(at place: Int) -> Issuer? { unsafe record.pointee.terms.issuers.list.item(at: place) }
  /// Held through the issuers.
  var cache: Cache { unsafe record.pointee.cache }

  func retain() { unsafe record.pointee.holders.retain() }

  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    terms.issuers.release()
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }
}

struct PolicyRecord: ~Copyable {
  let holders = Holders()
  let id = Serial.next()
  let terms: Terms
  let cache: Cache

  static var size: Int { (MemoryLayout<PolicyRecord>.size &+ 63) & ~63 }

  init(terms: Terms, cache: Cache) {
    self.terms = terms
    self.cache = cache
  }
}

/// The terms of a policy, in the order in which a verification looks at them.
struct Terms {
  let form: Form
  let issuers: Issuers
  let audience: Audience
  let lifetime: Lifetime
  let hostConfirms: Bool
  let rules: Items<Rule>
}

/// What any JWS must be, whatever it carries.
struct Form {
  let bounds: Bounds
  let algorithms: Allowed
  /// The required typ; empty for any.
  let type: Bytes

  func admit(_ header: JOSEHeader, place: inout Place) throws(Status) {
    place = Place("alg")
    guard algorithms.all.contains(header.algorithm) else { throw .algorithmNotAllowed }
    place = Place("kid")
    guard (header.kid?.count ?? 0) <= bounds.kid else { throw .limitExceeded }
    place = Place("typ")
    guard type.isEmpty || header.isOfType(type) else { throw .typeMismatch }
  }
}

/// How large a token may be.
struct Bounds {
  let token: Int
  let kid: Int
  let header: JSONLimits
  let claims: JSONLimits

  static func ofJWS(token: Int) -> Bounds {
    let limits = JSONLimits(maxMembers: 64, maxNesting: 32)
    return Bounds(token: token, kid: 1_024, header: limits, claims: limits)
  }
}

/// The algorithms of a policy: which may be used, and which it named itself.
struct Allowed {
  let all: AlgorithmSet
  private let named: AlgorithmSet

  /// No names mean every asymmetric algorithm.
  init(named: AlgorithmSet) {
    self.named = named
    all = named.isEmpty ? .asymmetric : named
  }

  /// The algorithm is the key's (RFC 8725 section 3.1): its `alg`, or what its type and curve imply. An RSA key
  /// could serve six; without `alg` it serves RS256, or those that the policy names.
  func lets(_ key: Key, serve algorithm: Algorithm) -> Bool {
    guard key.algorithms.contains(algorithm) else { return false }
    return key.declared || !AlgorithmSet.rsa.contains(algorithm) || algorithm == .rs256 && named.isEmpty
      || named.contains(algorithm)
  }
}

/// The issuers of a policy, found by name.
struct Issuers {
  let list: Items<Issuer>
  let index: HashIndex
  /// iss is not looked at; there is exactly one.
  let any: Bool

  func issuer(of claims: ClaimsSet, shadow: JSONShadow) throws(Status) -> Issuer {
    let iss = try ClaimsSet.string(claims.iss)
    if any, let only = list.item(at: 0) { return only }
    guard let iss else { throw .claimMissing }
    guard let issuer = find(shadow.plain(iss)) else { throw .issuerUnknown }
    return issuer
  }

  func find(_ name: Bytes) -> Issuer? {
    var found: Issuer?
    index.forEach(name) { place in
      if let issuer = list.item(at: place), issuer.name == name { found = issuer }
    }
    return found
  }

  func place(of issuer: Issuer) -> Int? {
    for place in list.count.times where list.item(at: place) == issuer { return place }
    return nil
  }

  func retain() {
    for place in list.count.times { list.item(at: place)?.retain() }
  }

  func release() {
    for place in list.count.times { list.item(at: place)?.release() }
  }
}
