import CKeyturnAPI

/// A cache, by one owner; and what its calls say when they fail, as a sentence.
final class CacheHandle {
  let cache: OpaquePointer

  /// Calls `change` with the options before the cache is made.
  init(_ change: (inout jwks_cache_options) -> Void) throws(Complaint) {
    var options = jwks_cache_options()
    options.size = MemoryLayout<jwks_cache_options>.size
    change(&options)
    var made: OpaquePointer?
    try Complaint.unlessDone { error in jwks_cache_new(&options, &made, &error) }
    guard let made else { throw Complaint("jwks_cache_new: no cache") }
    cache = made
  }

  deinit { jwks_cache_release(cache) }

  func start() throws(Complaint) {
    try Complaint.unlessDone { error in jwks_cache_start(cache, &error) }
  }

  /// Ends the thread, and what it has under way.
  func stop() { jwks_cache_stop(cache) }

  func add(_ settings: IssuerSettings) throws(Complaint) -> IssuerHandle {
    var issuer: OpaquePointer?
    try Complaint.unlessDone { error in
      settings.withOptions { options in jwks_cache_add_issuer(cache, &options, &issuer, &error) }
    }
    guard let issuer else { throw Complaint("jwks_cache_add_issuer: no issuer") }
    return IssuerHandle(issuer)
  }
}

/// An issuer of a cache; taken out of it with its owner.
final class IssuerHandle {
  let issuer: OpaquePointer

  fileprivate init(_ issuer: OpaquePointer) { self.issuer = issuer }

  deinit {
    _ = jwks_issuer_remove(issuer)
    jwks_issuer_release(issuer)
  }

  func update(_ settings: IssuerSettings) throws(Complaint) {
    try Complaint.unlessDone { error in
      settings.withOptions { options in jwks_issuer_update(issuer, &options, &error) }
    }
  }
}

extension Complaint {
  /// What the library says is wrong, under the name of the option that it is about.
  static func unlessDone(_ call: (inout jwks_error) -> jwt_status) throws(Complaint) {
    var error = jwks_error()
    error.size = MemoryLayout<jwks_error>.size
    let status = call(&error)
    guard status != JWT_OK else { return }
    let option = withUnsafeBytes(of: &error.option) { String(terminated: $0) }
    let message = withUnsafeBytes(of: &error.message) { String(terminated: $0) }
    let sentence = message.isEmpty ? String(cString: jwt_status_message(status)) : message
    throw Complaint(option.isEmpty ? sentence : "\(option): \(sentence)")
  }
}
