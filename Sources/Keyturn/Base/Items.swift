internal import Synchronization

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

  /// For calls into C; valid while the owner lives.
  @unsafe var pointer: UnsafeMutablePointer<Element>? { unsafe base }

  @inline(__always)
  func item(at position: Int) -> Element? {
    guard position >= 0, position < count, let base = unsafe base else { return nil }
    return unsafe base[position]
  }

  func first(_ number: Int) -> Items { unsafe Items(base, count: min(number, count)) }

  /// Only while the records are being made; nothing happens outside.
  func set(_ element: Element, at position: Int) {
    guard position >= 0, position < count, let base = unsafe base else { return }
    unsafe base[position] = element
  }
}

/// Words that several threads use at once; outside there is only zero.
extension Items<UInt64> {
  @inline(__always)
  func load(at position: Int) -> UInt64 {
    unsafe atomic(at: position)?.pointee.load(ordering: .acquiring) ?? 0
  }

  func store(_ word: UInt64, at position: Int) {
    unsafe atomic(at: position)?.pointee.store(word, ordering: .releasing)
  }

  /// What was there before.
  func exchange(_ word: UInt64, at position: Int) -> UInt64 {
    unsafe atomic(at: position)?.pointee.exchange(word, ordering: .sequentiallyConsistent) ?? 0
  }

  /// In one order with all exchanges.
  @inline(__always)
  func loadInOrder(at position: Int) -> UInt64 {
    unsafe atomic(at: position)?.pointee.load(ordering: .sequentiallyConsistent) ?? 0
  }

  func add(_ amount: UInt64, at position: Int) {
    _ = unsafe atomic(at: position)?.pointee.wrappingAdd(amount, ordering: .relaxed)
  }

  func raise(_ bits: UInt64, at position: Int) {
    _ = unsafe atomic(at: position)?.pointee.bitwiseOr(bits, ordering: .sequentiallyConsistent)
  }

  /// In an empty place only.
  func fill(_ word: UInt64, at position: Int) {
    _ = unsafe atomic(at: position)?.pointee.compareExchange(
      expected: 0, desired: word, ordering: .sequentiallyConsistent)
  }

  @inline(__always)
  private func atomic(at position: Int) -> UnsafePointer<Atomic<UInt64>>? {
    guard position >= 0, position < count, let base = unsafe base else { return nil }
    return unsafe UnsafeRawPointer(base + position).assumingMemoryBound(to: Atomic<UInt64>.self)
  }
}

extension Items<Bytes> {
  func holdSame(as other: Items<Bytes>) -> Bool {
    var place = 0
    while let mine = item(at: place), let theirs = other.item(at: place), mine == theirs { place &+= 1 }
    return place == count && place == other.count
  }
}
