internal import CKeyturnAPI

@_cdecl("jwt_algorithm_from_name") @implementation
public func jwt_algorithm_from_name(_ name: UnsafePointer<CChar>?, _ len: Int) -> UInt64 {
  guard let name = unsafe name, len > 0, let algorithm = unsafe Algorithm(name: Bytes(name, len)) else {
    return 0
  }
  return AlgorithmSet(algorithm).rawValue
}

@_cdecl("jwt_algorithm_name") @implementation
public func jwt_algorithm_name(_ algorithm: UInt64) -> UnsafePointer<CChar>? {
  let bit = UInt8(truncatingIfNeeded: algorithm.trailingZeroBitCount)
  guard algorithm.nonzeroBitCount == 1, let one = Algorithm(rawValue: bit) else { return nil }
  return unsafe CString.of(one.name)
}

@_cdecl("jwt_algorithms_supported") @implementation
public func jwt_algorithms_supported() -> UInt64 {
  ControlLock.with { AlgorithmSet.supported.rawValue }
}
