public import CKeyturnAPI

@_cdecl("jwks_cache_add_issuer") @implementation
public func jwks_cache_add_issuer(
  _ cache: OpaquePointer?, _ options: UnsafePointer<jwks_issuer_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status {
  unsafe answer(error) { () throws(Fault) in
    guard let cache = unsafe Cache(cache) else { throw .null("cache") }
    guard let options = unsafe options else { throw .null("options") }
    guard let out = unsafe out else { throw .null("out") }
    var known = unsafe jwks_issuer_options()
    try unsafe Options.read(options, into: &known)
    let issuer = try unsafe IssuerOptions.with(known) { (options, terms) throws(Fault) in
      try cache.add(options, terms) { () throws(Fault) in try FetchLibrary.open() }
    }
    cache.lend()
    unsafe out.pointee = OpaquePointer(issuer.memory)
  }
}

@_cdecl("jwks_issuer_retain") @implementation
public func jwks_issuer_retain(_ issuer: OpaquePointer?) -> OpaquePointer? {
  unsafe Issuer.retain(issuer)
}

@_cdecl("jwks_issuer_release") @implementation
public func jwks_issuer_release(_ issuer: OpaquePointer?) {
  unsafe Issuer.release(issuer)
}

@_cdecl("jwks_issuer_remove") @implementation
public func jwks_issuer_remove(_ issuer: OpaquePointer?) -> jwt_status {
  guard let issuer = unsafe Issuer(issuer) else { return JWKS_INVALID_ARGUMENT }
  return issuer.remove() ? JWT_OK : JWKS_REMOVED
}

@_cdecl("jwks_issuer_update") @implementation
public func jwks_issuer_update(
  _ issuer: OpaquePointer?, _ options: UnsafePointer<jwks_issuer_options>?,
  _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status {
  unsafe answer(error) { () throws(Fault) in
    guard let issuer = unsafe Issuer(issuer) else { throw .null("issuer") }
    guard let options = unsafe options else { throw .null("options") }
    var known = unsafe jwks_issuer_options()
    try unsafe Options.read(options, into: &known)
    try unsafe IssuerOptions.with(known) { (options, terms) throws(Fault) in
      try issuer.update(options, terms) { () throws(Fault) in try FetchLibrary.open() }
    }
  }
}

@_cdecl("jwks_issuer_refresh") @implementation
public func jwks_issuer_refresh(_ issuer: OpaquePointer?) -> jwt_status {
  guard let issuer = unsafe Issuer(issuer) else { return JWKS_INVALID_ARGUMENT }
  do throws(Status) { try issuer.refresh() } catch { return error.code }
  return JWT_OK
}

@_cdecl("jwks_issuer_load") @implementation
public func jwks_issuer_load(
  _ issuer: OpaquePointer?, _ json: UnsafePointer<CChar>?, _ len: Int,
  _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status {
  unsafe answer(error) { () throws(Fault) in
    guard let issuer = unsafe Issuer(issuer) else { throw .null("issuer") }
    guard let json = unsafe json else { throw .null("json") }
    guard len >= 0 else { throw Fault(.invalidDocument, "The document is too large.", option: "json") }
    try issuer.load(unsafe Bytes(json, len))
  }
}

extension Issuer: CountedHandle {}

extension Bytes {
  /// A text that a caller gave as pointer and length.
  @unsafe init(_ text: UnsafePointer<CChar>, _ count: Int) {
    unsafe self.init(UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
  }
}

extension IssuerOptions {
  /// `take` takes both over, also when it fails.
  @unsafe fileprivate static func with<Made>(
    _ known: jwks_issuer_options, _ take: (IssuerOptions, SourceTerms) throws(Fault) -> Made
  ) throws(Fault) -> Made {
    let name = try unsafe Options.requiredText(known.issuer, OptionName("issuer"), atMost: 1_024)
    let signers = try unsafe Acceptance.signers(known)
    let acceptance: Acceptance
    do throws(Fault) {
      acceptance = try Acceptance.make { (arena) throws(Fault) in
        try unsafe Acceptance.Terms(known, signers, &arena)
      }
    } catch {
      signers?.release()
      throw error
    }
    let terms: SourceTerms
    do throws(Fault) { terms = try unsafe SourceOptions(known).terms() } catch {
      acceptance.destroy()
      throw error
    }
    return try take(IssuerOptions(name: name, acceptance: acceptance), terms)
  }
}

extension Acceptance {
  /// Read like any JWK Set, and under the control lock like any.
  @unsafe fileprivate static func signers(_ known: jwks_issuer_options) throws(Fault) -> KeySet? {
    let name = OptionName("signed_by")
    guard let document = try unsafe Options.octets(known.signed_by, name, atMost: 524_288) else { return nil }
    let rules = KeyRules(issuerAlgorithms: .asymmetric, use: .sig, symmetric: false, maxKeys: 256)
    do throws(Fault) {
      return try ControlLock.with { () throws(Fault) in
        let set = try JWKSet.read(document, rules: rules)
        let nothing = Leaving(now: 0, grace: 0, rules: rules)
        do throws(Status) { return try KeySet.make(of: set, replacing: nil, nothing) } catch {
          throw .noMemory
        }
      }
    } catch {
      throw error.status == .invalidDocument ? name.refused(error.sentence) : error
    }
  }
}

extension Acceptance.Terms {
  @unsafe fileprivate init(
    _ known: jwks_issuer_options, _ signers: KeySet?, _ arena: inout Arena
  ) throws(Fault) {
    self.signers = signers
    let symmetric = try unsafe Options.flag(known.allow_symmetric, OptionName("allow_symmetric"))
    let algorithms = try unsafe Options.algorithms(known.algorithms, OptionName("algorithms"))
    try Acceptance.Terms.check(algorithms, symmetric: symmetric)
    guard let use = unsafe KeyUse(rawValue: known.use.rawValue) else {
      throw OptionName("use").refused("It is no JWKS_USE_ of this release.")
    }
    rules = KeyRules(
      issuerAlgorithms: algorithms.isEmpty ? .asymmetric : algorithms,
      use: use, symmetric: symmetric,
      maxKeys: try unsafe Options.count(known.max_keys, OptionName("max_keys"), default: 256, 1...4_096),
      pins: try unsafe Acceptance.Terms.pins(known, &arena))
    maximumDocument = try unsafe Options.count(
      known.max_document, OptionName("max_document"), default: 524_288, 1...16_777_216)
    grace =
      try unsafe Options.time(known.grace_ms, OptionName("grace_ms"), default: nil, atMost: 600_000) ?? 0
  }

  /// A source of secrets holds nothing else, and no other source holds secrets.
  private static func check(_ algorithms: AlgorithmSet, symmetric: Bool) throws(Fault) {
    let name = OptionName("algorithms")
    if symmetric, algorithms.isEmpty || !algorithms.isSubset(of: .symmetric) {
      throw name.refused("With allow_symmetric it must name HS algorithms, and no others.")
    }
    if !symmetric, !algorithms.isDisjoint(with: .symmetric) {
      throw name.refused("HS algorithms need allow_symmetric.")
    }
  }

  @unsafe private static func pins(
    _ known: jwks_issuer_options, _ arena: inout Arena
  ) throws(Fault) -> Items<Bytes> {
    let name = OptionName("pins")
    let pins = try unsafe Options.texts(known.pins, count: known.pin_count, name, atMost: 64, arena: &arena)
    try Options.check(pins, name, "It is not a SHA-256 thumbprint in Base64url.") { Thumbprint.isOne($0) }
    return pins
  }
}
