/// Octets that come piece by piece, as far as their maximum. One owner.
struct Collected: ~Copyable {
  private var buffer: Buffer
  private(set) var count = 0

  init(maximum: Int) { buffer = Buffer(maximum: maximum) }

  /// Valid until more is added.
  var bytes: Bytes { buffer.room.bytes(count) }

  /// Nothing is added where it does not fit.
  mutating func append(_ more: Bytes) throws(Status) {
    guard more.count <= buffer.maximum &- count else { throw .tooLarge }
    try makeRoom(count &+ more.count)
    buffer.room.copy(more, at: count)
    count &+= more.count
  }

  mutating func clear() { count = 0 }

  /// Valid until more is added; ends with the NUL that was put there.
  @unsafe var cString: UnsafePointer<CChar>? {
    unsafe UnsafeRawPointer(buffer.room.pointer)?.assumingMemoryBound(to: CChar.self)
  }

  private mutating func makeRoom(_ wanted: Int) throws(Status) {
    guard wanted > buffer.capacity else { return }
    var larger = Buffer(maximum: buffer.maximum)
    try larger.reserve(min(buffer.maximum, max(wanted, buffer.capacity &* 2)))
    larger.room.copy(bytes, at: 0)
    buffer = larger
  }
}

/// A text of C's that is put together: at most 16 KiB with its NUL.
struct CText: ~Copyable {
  private var octets = Collected(maximum: 16_384)

  static func of(_ first: Bytes, _ second: Bytes = .empty) throws(Status) -> CText {
    var text = CText()
    try text.octets.append(first)
    try text.octets.append(second)
    try text.octets.append(Bytes("\0"))
    return text
  }

  @unsafe var pointer: UnsafePointer<CChar>? { unsafe octets.cString }
  var bytes: Bytes { octets.bytes.slice(from: 0, length: octets.count &- 1) }
}
