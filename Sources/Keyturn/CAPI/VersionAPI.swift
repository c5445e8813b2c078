internal import CKeyturnAPI

@_cdecl("keyturn_version") @implementation
public func keyturn_version() -> UnsafePointer<CChar>? {
  unsafe CString.of("0.1.0")
}

@_cdecl("keyturn_version_number") @implementation
public func keyturn_version_number() -> UInt32 { KEYTURN_VERSION_NUMBER }
