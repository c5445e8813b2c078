/// Static texts as C reads them: NUL-terminated, for ever.
enum CString {
  @inline(never)
  static func of(_ text: StaticString) -> UnsafePointer<CChar> {
    unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}

extension Bytes {
  /// Of a text with a NUL behind it; NULL for an empty one.
  @unsafe var string: UnsafePointer<CChar>? {
    unsafe isEmpty ? nil : pointer.map { unsafe UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) }
  }
}
