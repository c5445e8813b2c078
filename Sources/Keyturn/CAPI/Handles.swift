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
