internal import CKeyturn

/// Owned records of one plain type, as many as were asked for. One owner; wiped and released with it.
@safe struct Table<Record: BitwiseCopyable>: ~Copyable {
  private let base: UnsafeMutablePointer<Record>
  let count: Int

  /// Every record is a copy of `initial`.
  init(count: Int, initial: Record) throws(Status) {
    let (size, isTooMuch) = count.multipliedReportingOverflow(by: MemoryLayout<Record>.stride)
    guard count >= 0, !isTooMuch else { throw .limitExceeded }
    unsafe base = try Memory.allocate(size).bindMemory(to: Record.self, capacity: count)
    for place in count.times { unsafe (base + place).initialize(to: initial) }
    self.count = count
  }

  deinit {
    unsafe Memory.wipe(base, count &* MemoryLayout<Record>.stride)
    unsafe Memory.release(base)
  }

  /// Nil outside.
  func record(at position: Int) -> Record? {
    guard position >= 0, position < count else { return nil }
    return unsafe base[position]
  }

  /// False, and nothing written, outside.
  @discardableResult
  func set(_ record: Record, at position: Int) -> Bool {
    guard position >= 0, position < count else { return false }
    unsafe base[position] = record
    return true
  }
}
