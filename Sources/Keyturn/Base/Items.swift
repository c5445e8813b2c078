/// Borrowed records of one kind, side by side. Outside there is nothing; its owner outlives it.
@safe struct Items<Element: BitwiseCopyable> {
  private let base: UnsafeMutablePointer<Element>?
  let count: Int

  static var none: Items { unsafe Items(nil, count: 0) }

  @unsafe init(_ base: UnsafeMutablePointer<Element>?, count: Int) {
    let readable = unsafe base != nil && count > 0
    unsafe self.base = base
    self.count = readable ? count : 0
  }

  @inline(__always)
  func item(at position: Int) -> Element? {
    guard position >= 0, position < count, let base = unsafe base else { return nil }
    return unsafe base[position]
  }

  /// Only while the records are being made; nothing happens outside.
  func set(_ element: Element, at position: Int) {
    guard position >= 0, position < count, let base = unsafe base else { return }
    unsafe base[position] = element
  }
}
