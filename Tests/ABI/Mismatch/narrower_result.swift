public import CKeyturnAPI

@_cdecl("jwt_algorithms_supported") @implementation
public func jwt_algorithms_supported() -> UInt32 { 0 }
