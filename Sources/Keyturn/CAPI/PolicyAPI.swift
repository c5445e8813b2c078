public import CKeyturnAPI

@_cdecl("jwt_policy_new") @implementation
public func jwt_policy_new(
  _ cache: OpaquePointer?, _ options: UnsafePointer<jwt_policy_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status {
  unsafe answer(error) { () throws(Fault) in
    guard let cache = unsafe Cache(cache) else { throw .null("cache") }
    guard let options = unsafe options else { throw .null("options") }
    guard let out = unsafe out else { throw .null("out") }
    var known = unsafe jwt_policy_options()
    try unsafe Options.read(options, into: &known)
    let policy = try Policy.make(of: cache) { (arena) throws(Fault) in
      try unsafe PolicyOptions(known, cache: cache).terms(&arena)
    }
    cache.lend()
    unsafe out.pointee = OpaquePointer(policy.memory)
  }
}

@_cdecl("jwt_policy_retain") @implementation
public func jwt_policy_retain(_ policy: OpaquePointer?) -> OpaquePointer? {
  unsafe Policy.retain(policy)
}

@_cdecl("jwt_policy_release") @implementation
public func jwt_policy_release(_ policy: OpaquePointer?) {
  unsafe Policy.release(policy)
}

extension Policy: CountedHandle {}
