public import CKeyturnAPI

@_cdecl("jwks_cache_release") @implementation
public func jwks_cache_release(_ cache: Int32) {}
