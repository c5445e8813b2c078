public import CKeyturnAPI

@_cdecl("jwks_key_list_get") @implementation
public func jwks_key_list_get(
  _ list: OpaquePointer?, _ position: Int, _ out: UnsafeMutablePointer<jwks_error>?
) -> jwt_status { JWT_OK }
