/// One block for records that are made once and never change. The maker runs twice: first dry, without
/// memory, to learn how much is needed, then for good.
@safe struct Arena {
  private let base: UnsafeMutableRawPointer?
  private let capacity: Int
  private(set) var used = 0

  static var dry: Arena { unsafe Arena(nil, capacity: 0) }

  /// `base` holds as much as the dry run used, zeroed.
  @unsafe init(_ base: UnsafeMutableRawPointer?, capacity: Int) {
    unsafe self.base = base
    self.capacity = capacity
  }

  mutating func copy(_ bytes: Bytes) -> Bytes {
    let place = unsafe take(bytes.count)
    guard let place = unsafe place?.assumingMemoryBound(to: UInt8.self) else { return .empty }
    unsafe Room(place, count: bytes.count).copy(bytes, at: 0)
    return unsafe Bytes(place, count: bytes.count)
  }

  /// One after the other, and a NUL behind them, so that C can read them as a string.
  mutating func string(_ first: Bytes, _ second: Bytes = .empty, _ third: Bytes = .empty) -> Bytes {
    let count = first.count &+ second.count &+ third.count
    let place = unsafe take(count &+ 1)
    guard let place = unsafe place?.assumingMemoryBound(to: UInt8.self) else { return .empty }
    let room = unsafe Room(place, count: count)
    room.copy(first, at: 0)
    room.copy(second, at: first.count)
    room.copy(third, at: first.count &+ second.count)
    return room.bytes(count)
  }

  mutating func items<Element: BitwiseCopyable>(_ count: Int, of: Element.Type) -> Items<Element> {
    let place = unsafe take(count &* MemoryLayout<Element>.stride)
    return unsafe Items(place?.assumingMemoryBound(to: Element.self), count: count)
  }

  /// Room for something whose type only its user knows.
  @unsafe mutating func take(_ count: Int) -> UnsafeMutableRawPointer? {
    let start = used
    used = (start &+ count &+ 15) & ~15
    guard used <= capacity else { return nil }
    return unsafe base.map { unsafe $0 + start }
  }

  /// Makes a record and all that it points to, in one block, behind `head` octets that the caller fills.
  @unsafe static func make<Record>(
    behind head: Int, _ record: (inout Arena) throws(Fault) -> Record
  ) throws(Fault) -> (memory: UnsafeMutableRawPointer, record: Record) {
    var arena = Arena.dry
    _ = try record(&arena)
    let memory = try unsafe Fault.of { () throws(Status) in try unsafe Memory.allocate(head &+ arena.used) }
    arena = unsafe Arena(memory + head, capacity: arena.used)
    do throws(Fault) { return unsafe (memory, try record(&arena)) } catch {
      unsafe Memory.release(memory)
      throw error
    }
  }
}
