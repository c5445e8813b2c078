public import CKeyturnAPI

@_cdecl("jwks_cache_new") @implementation
public func jwks_cache_new(
  _ options: UnsafeMutablePointer<jwks_cache_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status { JWT_OK }
