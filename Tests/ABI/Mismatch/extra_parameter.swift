public import CKeyturnAPI

@_cdecl("keyturn_version_number") @implementation
public func keyturn_version_number(_ more: Int32) -> UInt32 { 0 }
