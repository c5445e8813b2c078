import CKeyturnAPI

/// An issuer of a cache; taken out of it with its owner.
final class IssuerHandle {
  let issuer: OpaquePointer
  /// Whose clocks and fetcher are called until the end.
  let cache: CacheHandle

  init(_ issuer: OpaquePointer, of cache: CacheHandle) { (self.issuer, self.cache) = (issuer, cache) }

  deinit {
    _ = jwks_issuer_remove(issuer)
    jwks_issuer_release(issuer)
  }

  func update(_ settings: IssuerSettings) throws(Complaint) {
    try Complaint.unlessDone { error in
      settings.withOptions { options in jwks_issuer_update(issuer, &options, &error) }
    }
  }

  func load(_ document: [UInt8]) throws(Complaint) {
    try Complaint.unlessDone { error in
      document.withUnsafeBytes { octets in
        jwks_issuer_load(issuer, octets.bindMemory(to: CChar.self).baseAddress, octets.count, &error)
      }
    }
  }

  var stats: jwks_issuer_stats {
    var stats = jwks_issuer_stats()
    stats.size = MemoryLayout<jwks_issuer_stats>.size
    _ = jwks_issuer_stats_get(issuer, &stats)
    return stats
  }

  /// Nil: no set was accepted yet.
  var keys: [PublishedKey]? {
    var list: OpaquePointer?
    guard jwks_issuer_keys(issuer, &list) == JWT_OK else { return nil }
    defer { jwks_key_list_release(list) }
    return (0..<jwks_key_list_count(list)).compactMap { place in
      var info = jwks_key_info()
      info.size = MemoryLayout<jwks_key_info>.size
      return jwks_key_list_get(list, place, &info) == JWT_OK ? PublishedKey(info) : nil
    }
  }

  var revocations: [Revocation] {
    var list: OpaquePointer?
    guard jwks_issuer_revocations(issuer, &list) == JWT_OK else { return [] }
    defer { jwks_revocation_list_release(list) }
    return (0..<jwks_revocation_list_count(list)).compactMap { place in
      var found = jwks_revocation()
      found.size = MemoryLayout<jwks_revocation>.size
      return jwks_revocation_list_get(list, place, &found) == JWT_OK ? Revocation(found) : nil
    }
  }
}
