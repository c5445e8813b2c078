public import CKeyturnAPI

@_cdecl("jwt_status_name") @implementation
public func jwt_status_name(_ status: jwt_status) -> Int32 { 0 }
