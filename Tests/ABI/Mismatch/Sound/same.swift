public import CKeyturnAPI

@_cdecl("jwt_algorithm_from_name") @implementation
public func jwt_algorithm_from_name(_ name: UnsafePointer<CChar>?, _ len: Int) -> UInt64 { 0 }
