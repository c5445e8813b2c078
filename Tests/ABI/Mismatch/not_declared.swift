public import CKeyturnAPI

@_cdecl("jwks_nope") @implementation
public func jwks_nope() {}
