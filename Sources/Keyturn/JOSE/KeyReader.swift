/// Turns each JWK into a usable key, or into the reason why it is left out. Owns the room that this takes.
struct KeyReader: ~Copyable {
  private let rules: KeyRules
  private let supported: AlgorithmSet
  private let memory: Buffer
  /// Of the longest member and of its text.
  private let span: Int

  init(_ rules: KeyRules, documentLength: Int) throws(Status) {
    // Only secrets have no maximum of their own; no other member's text is longer than an ML-DSA-87 key's.
    let span = rules.symmetric ? max(documentLength, 4096) : 4096
    let supported = try AlgorithmSet.askSupported()
    memory = try Buffer.of(span &* 4 &+ 64)
    self.rules = rules
    self.supported = supported
    self.span = span
  }

  private var first: Room { memory.room.slice(from: 0, length: span) }
  private var second: Room { memory.room.slice(from: span, length: span) }
  /// For what is made of members: longer than two in Base64url.
  private var scratch: Room { memory.room.slice(from: 2 &* span) }

  /// Fills all of the entry but index and kid; `thumbprint` has room for one.
  func read(_ value: DocumentValue, into entry: inout JWKSet.Entry, thumbprint: Room) throws(Status) {
    let material = Result { () throws(KeyFault) in try self.material(value) }
    if case .success(let material) = material { try describe(material, in: &entry, thumbprint) }
    switch Result(catching: { () throws(KeyFault) in try judge(value, material, entry.thumbprint) }) {
    case .success(let verdict):
      entry.key = try make(verdict, entry)
      entry.fault = entry.key == nil ? .badValue : .usable
    case .failure(let fault):
      entry.fault = fault
    }
  }

  private struct Verdict {
    let material: KeyMaterial
    let algorithms: AlgorithmSet
    let declared: Bool
    let kid: Bytes?
  }

  private func material(_ value: DocumentValue) throws(KeyFault) -> KeyMaterial {
    let jwk = try JWK(value)
    // A secret that is left out leaves no trace, not even its length.
    guard jwk.type != .oct || rules.symmetric else { throw .symmetric }
    return try KeyMaterial(jwk, jwk.kind, first, second)
  }

  private func describe(_ material: KeyMaterial, in entry: inout JWKSet.Entry, _ room: Room) throws(Status) {
    entry.lenient = material.lenient
    entry.bits = material.bits
    guard material.isStrong else { return }
    try Thumbprint.write(material, into: room, scratch: scratch)
    entry.thumbprint = room.bytes(Thumbprint.length)
  }

  /// Why the key is left out, in the order of RFC 7517: what it is for, then what it is, then who wants it.
  private func judge(
    _ value: DocumentValue, _ material: Result<KeyMaterial, KeyFault>, _ thumbprint: Bytes
  ) throws(KeyFault) -> Verdict {
    let jwk = try JWK(value)
    let (kind, declared) = try jwk.check(rules)
    let material = try material.get()
    let capable = try material.check(declared.map { AlgorithmSet($0) } ?? kind.algorithms)
    let allowed = capable.intersection(rules.issuerAlgorithms)
    guard !allowed.isEmpty else { throw .notAllowed }
    let offered = allowed.intersection(supported)
    guard !offered.isEmpty else { throw .notOffered }
    guard rules.allow(thumbprint) else { throw .notPinned }
    return Verdict(material: material, algorithms: offered, declared: declared != nil, kid: jwk.kid)
  }

  /// Nil where libcrypto refuses the key's value.
  private func make(_ verdict: Verdict, _ entry: JWKSet.Entry) throws(Status) -> Key? {
    let material = verdict.material
    let isSecret = material.kind == .oct
    guard let publicKey = isSecret ? PublicKey.none : try PublicKey.make(material, scratch: scratch) else {
      return nil
    }
    let description = Key.Description(
      kind: material.kind, algorithms: verdict.algorithms, declared: verdict.declared, bits: material.bits,
      kid: verdict.kid, thumbprint: entry.thumbprint, secret: isSecret ? material.first : .empty)
    return try Key.make(description, publicKey)
  }
}
