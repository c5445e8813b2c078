/// The member names of one text, so that the second of its kind in any one object is found at once.
///
/// A hash table in memory that its user gives and keeps: 16 octets an entry, at most half of them in use, found
/// by a keyed hash of (object, name), so that nobody can choose names that collide. Each text has a generation
/// of its own; entries of another count as free, and nothing need be cleared between texts. One text at a time.
@safe struct NameTable {
  static var maxNesting: Int { 64 }

  let maxMembers: Int
  private let memory: UnsafeMutableRawPointer
  private let mask: Int
  private let key: HashKey

  /// How much memory a table for that many members takes.
  static func byteCount(maxMembers: Int) -> Int {
    headerSize &+ slotCount(maxMembers) &* Entry.size
  }

  /// Over `byteCount` octets, aligned to 16 and zeroed before their first use.
  @unsafe init(_ memory: UnsafeMutableRawPointer, maxMembers: Int, key: HashKey) {
    unsafe self.memory = memory
    self.maxMembers = maxMembers
    self.key = key
    mask = NameTable.slotCount(maxMembers) &- 1
  }

  /// Begins a text: false if it is so long that entries cannot say where in it they are.
  func begin(_ text: Bytes) -> Bool {
    generation &+= 1
    if generation == 0 {
      unsafe Memory.wipe(memory, NameTable.byteCount(maxMembers: maxMembers))
      generation = 1
    }
    return text.count <= UInt32.max
  }

  /// Notes a member of the object with that number, whose name's quote stands at `position`. The caller counts
  /// `maxMembers`: so there is always a free entry to end at.
  @inline(__always)
  func insert(_ name: JSONString, at position: Int, in text: Bytes, object: UInt32) throws(Status) {
    let hash = hash(name, object)
    let tag = UInt32(truncatingIfNeeded: hash &>> 32)
    let new = Entry(
      generation: generation, tag: tag, object: object, position: UInt32(truncatingIfNeeded: position))
    var slot = Int(truncatingIfNeeded: hash) & mask
    var old = entry(slot)
    while old.generation == generation {
      if old.tag == tag, old.object == object, try name.equals(self.name(at: old, in: text)) {
        throw .duplicateMember
      }
      slot = (slot &+ 1) & mask
      old = entry(slot)
    }
    set(new, slot)
  }

  private func name(at entry: Entry, in text: Bytes) throws(Status) -> JSONString {
    var lexer = JSONLexer(text, at: Int(entry.position))
    return try lexer.string()
  }

  @inline(__always)
  private func hash(_ name: JSONString, _ object: UInt32) -> UInt64 {
    var hash = SipHash(key: key)
    hash.absorb(word: UInt64(object))
    if name.escaped {
      var octets = name.octets
      while let octet = octets.next() { hash.absorb(octet) }
    } else {
      hash.absorb(last: name.raw)
    }
    return hash.finish()
  }

  // MARK: - Memory: the generation, the numbers of the objects around the innermost one, the entries

  private struct Entry {
    static var size: Int { 16 }

    var generation: UInt32
    var tag: UInt32
    var object: UInt32
    /// Of the name's opening quote.
    var position: UInt32
  }

  private static var headerSize: Int { 16 &+ maxNesting &* 4 }

  private static func slotCount(_ maxMembers: Int) -> Int {
    var count = 2
    while count < maxMembers &* 2, count < 1 &<< 32 { count &*= 2 }
    return count
  }

  private var generation: UInt32 {
    get { unsafe memory.load(as: UInt32.self) }
    nonmutating set { unsafe memory.storeBytes(of: newValue, as: UInt32.self) }
  }

  func outer(at depth: Int) -> UInt32 {
    unsafe memory.load(fromByteOffset: 16 &+ (depth & 63) &* 4, as: UInt32.self)
  }

  func setOuter(_ object: UInt32, at depth: Int) {
    unsafe memory.storeBytes(of: object, toByteOffset: 16 &+ (depth & 63) &* 4, as: UInt32.self)
  }

  @inline(__always)
  private func entry(_ slot: Int) -> Entry {
    unsafe memory.load(fromByteOffset: NameTable.headerSize &+ slot &* Entry.size, as: Entry.self)
  }

  @inline(__always)
  private func set(_ entry: Entry, _ slot: Int) {
    let offset = NameTable.headerSize &+ slot &* Entry.size
    unsafe memory.storeBytes(of: entry, toByteOffset: offset, as: Entry.self)
  }
}
