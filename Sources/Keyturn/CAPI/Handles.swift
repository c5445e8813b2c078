/// What a host holds as an opaque pointer.
protocol Handle {
  @unsafe init(_ memory: UnsafeMutableRawPointer)
}

extension Handle {
  /// nil for NULL.
  @unsafe init?(_ handle: OpaquePointer?) {
    guard let handle = unsafe handle else { return nil }
    unsafe self.init(UnsafeMutableRawPointer(handle))
  }
}

/// What a host holds any number of times. With the last of all of a cache's its engine ends.
protocol CountedHandle: Handle {
  var cache: Cache { get }
  func retain()
  func release()
}

extension CountedHandle {
  @unsafe static func retain(_ handle: OpaquePointer?) -> OpaquePointer? {
    if let known = unsafe Self(handle) {
      known.cache.lend()
      known.retain()
    }
    return unsafe handle
  }

  @unsafe static func release(_ handle: OpaquePointer?) {
    guard let known = unsafe Self(handle) else { return }
    known.cache.takeBack()
    known.release()
  }
}
