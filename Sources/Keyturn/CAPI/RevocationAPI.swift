public import CKeyturnAPI

@_cdecl("jwks_cache_revoke") @implementation
public func jwks_cache_revoke(
  _ cache: OpaquePointer?, _ revocation: UnsafePointer<jwks_revocation>?,
  _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status {
  unsafe answer(error) { () throws(Fault) in
    let wanted = try unsafe Wanted(cache, revocation)
    try wanted.cache.revoke(wanted.name, until: wanted.until, of: wanted.issuer)
  }
}

@_cdecl("jwks_cache_unrevoke") @implementation
public func jwks_cache_unrevoke(
  _ cache: OpaquePointer?, _ revocation: UnsafePointer<jwks_revocation>?,
  _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status {
  unsafe answer(error) { () throws(Fault) in
    let wanted = try unsafe Wanted(cache, revocation)
    try wanted.cache.unrevoke(wanted.name, of: wanted.issuer)
  }
}

@_cdecl("jwks_issuer_revocations") @implementation
public func jwks_issuer_revocations(
  _ issuer: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> jwt_status {
  guard let issuer = unsafe Issuer(issuer), let out = unsafe out else { return JWKS_INVALID_ARGUMENT }
  do throws(Status) {
    let now = issuer.cache.clock.now
    let reader = try Reader.ofThisThread()
    reader.enter()
    defer { reader.leave() }
    let list = try RevocationList.make(of: issuer.snapshot(reader)?.revocations, now: now)
    unsafe out.pointee = OpaquePointer(list.memory)
    return JWT_OK
  } catch {
    return error.code
  }
}

@_cdecl("jwks_revocation_list_release") @implementation
public func jwks_revocation_list_release(_ list: OpaquePointer?) {
  unsafe RevocationList(list)?.release()
}

@_cdecl("jwks_revocation_list_count") @implementation
public func jwks_revocation_list_count(_ list: OpaquePointer?) -> Int {
  unsafe RevocationList(list)?.entries.count ?? 0
}

@_cdecl("jwks_revocation_list_get") @implementation
public func jwks_revocation_list_get(
  _ list: OpaquePointer?, _ position: Int, _ out: UnsafeMutablePointer<jwks_revocation>?
) -> jwt_status {
  guard let list = unsafe RevocationList(list), let out = unsafe out,
    let entry = list.entries.item(at: position),
    unsafe out.pointee.size >= MemoryLayout<jwks_revocation>.size
  else { return JWKS_INVALID_ARGUMENT }
  let value = unsafe entry.value.isEmpty ? keyturn_span() : span(entry.value)
  unsafe out.pointee = jwks_revocation(
    size: out.pointee.size, issuer: out.pointee.issuer,
    kind: jwks_revocation_kind(rawValue: entry.kind.rawValue),
    value: value.data, value_len: value.len, issued_before: entry.date, until: entry.until)
  return JWT_OK
}

extension RevocationList: Handle {}

/// A `jwks_revocation` that a caller filled. What it points to is the caller's, for the length of the call.
private struct Wanted {
  let cache: Cache
  let issuer: Issuer
  let name: RevocationName
  let until: Int64

  init(_ cache: OpaquePointer?, _ revocation: UnsafePointer<jwks_revocation>?) throws(Fault) {
    guard let cache = unsafe Cache(cache) else { throw .null("cache") }
    guard let revocation = unsafe revocation else { throw .null("revocation") }
    var known = unsafe jwks_revocation()
    try unsafe Options.read(revocation, into: &known)
    self.cache = cache
    issuer = try unsafe Wanted.issuer(known, cache)
    name = try unsafe Wanted.name(known)
    until = unsafe known.until
    guard until >= 0 else { throw OptionName("until").refused("It is before 1970.") }
  }

  private static func issuer(_ known: jwks_revocation, _ cache: Cache) throws(Fault) -> Issuer {
    let name = OptionName("issuer")
    guard let issuer = unsafe Issuer(known.issuer) else { throw name.refused("It is required.") }
    guard issuer.cache == cache else { throw name.refused("It belongs to another cache.") }
    return issuer
  }

  private static func name(_ known: jwks_revocation) throws(Fault) -> RevocationName {
    guard let kind = unsafe RevocationKind(rawValue: known.kind.rawValue) else {
      throw OptionName("kind").refused("It is no JWKS_REVOKE_ of this release.")
    }
    let value = try unsafe value(known, of: kind)
    let date = try unsafe date(known, of: kind)
    do throws(Status) {
      return RevocationName(kind, value, date: date, key: try .process)
    } catch { throw .noRandomness }
  }

  private static func value(_ known: jwks_revocation, of kind: RevocationKind) throws(Fault) -> Bytes {
    let name = OptionName("value")
    guard kind != .issuedBefore else {
      guard unsafe known.value == nil, unsafe known.value_len == 0 else {
        throw name.refused("JWKS_REVOKE_ISSUED_BEFORE has none.")
      }
      return .empty
    }
    guard let text = unsafe known.value, unsafe known.value_len > 0 else {
      throw name.refused("It is required.")
    }
    guard unsafe known.value_len <= 4_096 else { throw name.refused("It is too long.") }
    let value = unsafe Bytes(text, known.value_len)
    guard kind != .thumbprint || Thumbprint.isOne(value) else {
      throw name.refused("It is no SHA-256 in Base64url, as jwks_key_info has it.")
    }
    return value
  }

  private static func date(_ known: jwks_revocation, of kind: RevocationKind) throws(Fault) -> Int64 {
    let name = OptionName("issued_before")
    let date = unsafe known.issued_before
    guard kind == .issuedBefore || date == 0 else {
      throw name.refused("It is for JWKS_REVOKE_ISSUED_BEFORE alone.")
    }
    guard kind != .issuedBefore || date > 0 else { throw name.refused("It is required.") }
    return date
  }
}
