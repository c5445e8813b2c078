public import CKeyturnAPI

@_cdecl("jwks_issuer_keys") @implementation
public func jwks_issuer_keys(
  _ issuer: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> jwt_status {
  guard let issuer = unsafe Issuer(issuer), let out = unsafe out else { return JWKS_INVALID_ARGUMENT }
  do throws(Status) {
    unsafe out.pointee = OpaquePointer(try issuer.keyList().memory)
    return JWT_OK
  } catch {
    return error.code
  }
}

@_cdecl("jwks_key_list_release") @implementation
public func jwks_key_list_release(_ list: OpaquePointer?) {
  unsafe KeyList(list)?.release()
}

@_cdecl("jwks_key_list_count") @implementation
public func jwks_key_list_count(_ list: OpaquePointer?) -> Int {
  unsafe KeyList(list)?.entries.count ?? 0
}

@_cdecl("jwks_key_list_get") @implementation
public func jwks_key_list_get(
  _ list: OpaquePointer?, _ position: Int, _ out: UnsafeMutablePointer<jwks_key_info>?
) -> jwt_status {
  guard let list = unsafe KeyList(list), let out = unsafe out, let entry = list.entries.item(at: position),
    unsafe out.pointee.size >= MemoryLayout<jwks_key_info>.size
  else { return JWKS_INVALID_ARGUMENT }
  unsafe out.pointee = jwks_key_info(
    size: out.pointee.size, index: entry.index, fault: jwks_key_fault(rawValue: entry.fault.rawValue),
    lenient: entry.lenient ? 1 : 0, kid: span(entry.kid), thumbprint: span(entry.thumbprint),
    algorithms: entry.algorithms.rawValue, bits: entry.bits, revoked: entry.revoked ? 1 : 0,
    grace_ms: entry.grace,
    accepted: entry.uses.accepted, latest_exp: entry.uses.latestExpiry, first_use: entry.uses.first,
    last_use: entry.uses.last, first_seen: entry.firstSeen, last_seen: entry.lastSeen,
    has_table: entry.hasTable ? 1 : 0, gapless: entry.isGapless ? 1 : 0)
  return JWT_OK
}

extension KeyList: Handle {}
