/// Static texts as C reads them: NUL-terminated, for ever.
enum CString {
  @inline(never)
  static func of(_ text: StaticString) -> UnsafePointer<CChar> {
    unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}
