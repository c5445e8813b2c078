// Tokens that were verified lately, in one mapping that all threads share.
//
// It is divided into sets of sixteen cells. A token stands in as many cells of its set, side by side, as it needs; the set
// is chosen by a secret hash of its last octets and its policy, so that nobody can crowd one. Before the cells stands the
// set's head, whose tags say what begins where.
//
// A token is put in when it is seen for the second time, into cells that are empty, or whose token nobody has asked for
// since all marks of the set were last cleared. Where there are none, the marks are cleared and nothing is put in. So a
// flood of tokens that come once takes no cell, and of tokens that come twice each takes that of another.
//
// T1: A reader names the set that it reads in before it loads a tag, and takes the name back when it has copied what it
//     found. Both stores, and the loads of tags, have one order with those of T2.
// T2: A writer takes a tag out before it looks for readers in the set. If there is one it leaves the cells as they are, for
//     a later one. If there is none, who comes later finds no tag. So what is written to, nobody reads.
// T3: A tag is stored when its cells are complete, and they do not change until it has been taken out.
// T4: One thread at a time writes in a set, and no other waits for it. What a fork took the writer from is free in the child.
internal import CKeyturn

@safe struct TokenCache {
  private let base: UnsafeMutableRawPointer
  private let size: Int
  private let sets: Int
  /// Where the first cell is.
  private let cells: Int
  private let key: HashKey

  /// Room for one set and its head, and for the counters.
  static var smallest: Int64 { 65_536 }
  private static var counters: Int { 64 }

  init(size: Int) throws(Status) {
    key = try .process
    guard let base = unsafe ckeyturn_map(size) else { throw .noMemory }
    unsafe self.base = base
    self.size = size
    sets = (size &- 4_096) / (TokenSet.headSize &+ TokenSet.cellsSize)
    cells = (TokenCache.counters &+ sets &* TokenSet.headSize &+ 4_095) & ~4_095
    count(size, Number.limit)
  }

  func unmap() { unsafe ckeyturn_unmap(base, size) }

  /// Of the last octets, which nobody chooses who cannot sign; the whole text is compared later. Whoever does not know them
  /// learns nothing by how long that takes.
  @_optimize(speed)
  func hash(of token: Bytes, policy: UInt64) -> UInt64 {
    var hash = SipHash(key: key)
    hash.absorb(word: policy)
    hash.absorb(word: UInt64(truncatingIfNeeded: token.count))
    hash.absorb(last: token.slice(from: max(0, token.count &- 32)))
    return hash.finish()
  }

  /// From here until the reader ends reading, what is found stays.
  @inline(__always)
  func find(_ token: Bytes, _ hash: UInt64, policy: UInt64, _ reader: borrowing Reader) -> TokenEntry? {
    let set = set(of: hash)
    set.prefetch(hash)
    reader.beginReading(set.name)
    return set.find(token, hash, policy: policy)
  }

  /// Whether it is worth a place: it was seen before.
  func hasSeen(_ hash: UInt64) -> Bool { set(of: hash).hasSeen(hash) }

  func add(_ known: KnownToken, _ token: Bytes, _ texts: Bytes, _ hash: UInt64) {
    let set = set(of: hash)
    guard set.enter() else { return }
    let (added, evicted, grown) = set.add(known, token, texts, hash)
    set.leave()
    count(added, Number.inserted)
    count(evicted, Number.evicted)
    count(grown &* TokenSet.cellSize, Number.octets)
  }

  // MARK: - What it counts

  /// As the metrics have them: tokens put in, and taken out; octets in use, and what there may be.
  private enum Number {
    static var inserted: Int { 0 }
    static var evicted: Int { 1 }
    static var octets: Int { 2 }
    static var limit: Int { 3 }
  }

  func number(at place: Int) -> UInt64 { numbers.load(at: place) }

  private func count(_ amount: Int, _ place: Int) {
    if amount != 0 { numbers.add(UInt64(bitPattern: Int64(amount)), at: place) }
  }

  private var numbers: Items<UInt64> { unsafe Items(base.assumingMemoryBound(to: UInt64.self), count: 8) }

  @inline(__always)
  private func set(of hash: UInt64) -> TokenSet {
    let number = Int(truncatingIfNeeded: (hash &>> 32 &* UInt64(truncatingIfNeeded: sets)) &>> 32)
    return unsafe TokenSet(
      head: base + TokenCache.counters + number &* TokenSet.headSize,
      cells: base + cells + number &* TokenSet.cellsSize)
  }
}

/// What stands in the cells of one token.
@safe struct TokenEntry {
  private let base: UnsafeMutableRawPointer

  @unsafe @inline(__always)
  init(_ base: UnsafeMutableRawPointer) { unsafe self.base = base }

  private static var head: Int { (MemoryLayout<KnownToken>.size &+ 15) & ~15 }

  static func size(_ token: Bytes, _ texts: Bytes) -> Int { head &+ token.count &+ texts.count }

  @inline(__always)
  var known: KnownToken { unsafe base.assumingMemoryBound(to: KnownToken.self).pointee }
  @inline(__always)
  var token: Bytes { room.bytes(known.text) }
  /// Header and payload.
  @inline(__always)
  var texts: Bytes { room.bytes(.max).slice(from: known.text, length: known.header &+ known.payload) }

  func write(_ known: KnownToken, _ token: Bytes, _ texts: Bytes) {
    unsafe base.assumingMemoryBound(to: KnownToken.self).pointee = known
    room.copy(token, at: 0)
    room.copy(texts, at: token.count)
  }

  @inline(__always)
  private var room: Room {
    unsafe Room((base + TokenEntry.head).assumingMemoryBound(to: UInt8.self), count: TokenSet.cellsSize)
  }
}

@safe private struct TokenSet {
  private let words: Items<UInt64>
  private let cells: UnsafeMutableRawPointer

  static var cellSize: Int { 1_024 }
  static var cellsSize: Int { ways &* cellSize }
  static var headSize: Int { 40 &* MemoryLayout<UInt64>.stride }
  private static var ways: Int { 16 }
  /// A larger token is verified each time.
  private static var mostCells: Int { 8 }

  /// Behind the tags: a hash whose lowest bits are how many cells it takes; 0 where nothing begins.
  private static var marks: Int { 16 }
  private static var writer: Int { 17 }
  /// Cells whose token was taken out, and is not yet wiped.
  private static var stained: Int { 18 }
  /// Hashes that were not found, and whose place is taken next.
  private static var seen: Int { 24 }
  private static var turn: Int { 19 }

  @unsafe init(head: UnsafeMutableRawPointer, cells: UnsafeMutableRawPointer) {
    words = unsafe Items(head.assumingMemoryBound(to: UInt64.self), count: 40)
    unsafe self.cells = cells
  }

  var name: UInt { UInt(bitPattern: unsafe cells) }

  // MARK: - Readers

  /// Where the token most likely is, while the tags are looked at; most tokens are not much longer.
  @inline(__always)
  func prefetch(_ hash: UInt64) {
    unsafe ckeyturn_prefetch(words.pointer, 128)
    unsafe ckeyturn_prefetch(cells + TokenSet.first(hash) &* TokenSet.cellSize, TokenSet.cellSize &+ 512)
  }

  /// From the cell on where it was most likely put.
  @inline(__always)
  func find(_ token: Bytes, _ hash: UInt64, policy: UInt64) -> TokenEntry? {
    for step in TokenSet.ways.times {
      let cell = (TokenSet.first(hash) &+ step) & 15
      guard (words.loadInOrder(at: cell) ^ hash) &>> 4 == 0 else { continue }
      let entry = entry(at: cell)
      guard entry.known.policy == policy, entry.token == token else { continue }
      let mark = 1 &<< UInt64(truncatingIfNeeded: cell)
      if words.load(at: TokenSet.marks) & mark == 0 { words.raise(mark, at: TokenSet.marks) }
      return entry
    }
    return nil
  }

  /// One of the last sixteen of this set that were new. Two threads may both forget the other's: that token waits longer.
  func hasSeen(_ hash: UInt64) -> Bool {
    for place in TokenSet.ways.times where words.load(at: TokenSet.seen &+ place) == hash { return true }
    let next = words.load(at: TokenSet.turn)
    words.store(next &+ 1, at: TokenSet.turn)
    words.store(hash, at: TokenSet.seen &+ Int(truncatingIfNeeded: next) & 15)
    return false
  }

  // MARK: - The one writer

  /// T4.
  func enter() -> Bool {
    let process = ckeyturn_forks() &+ 1
    return words.exchange(process, at: TokenSet.writer) != process
  }

  func leave() { words.store(0, at: TokenSet.writer) }

  /// How many tokens were put in, how many were taken out, and by how much the cells in use have grown.
  func add(
    _ known: KnownToken, _ token: Bytes, _ texts: Bytes, _ hash: UInt64
  ) -> (added: Int, evicted: Int, grown: Int) {
    let count = (TokenEntry.size(token, texts) &+ TokenSet.cellSize &- 1) / TokenSet.cellSize
    guard count <= TokenSet.mostCells else { return (0, 0, 0) }
    // What is known of the same token is out of date, or has come from another thread this moment.
    var (evicted, grown) = takeOut { cell, _ in (words.load(at: cell) ^ hash) &>> 4 == 0 }
    guard let place = room(for: count, near: TokenSet.first(hash)) else {
      words.store(0, at: TokenSet.marks)
      return (0, evicted, grown)
    }
    let wanted = TokenSet.mask(place, count)
    let (more, less) = takeOut { _, mask in mask & wanted != 0 }
    evicted &+= more
    grown &+= less
    guard canWrite else { return (0, evicted, grown) }
    wipe()
    entry(at: place).write(known, token, texts)
    _ = words.exchange(hash & ~15 | UInt64(truncatingIfNeeded: count), at: place)
    return (1, evicted, grown &+ count)
  }

  /// T2.
  private var canWrite: Bool {
    #if KEYTURN_MUTANT_TOKEN_OVERWRITE  // what the torture run must catch
      return true
    #else
      return !Readers.areReading(name)
    #endif
  }

  private func takeOut(_ isDue: (Int, UInt64) -> Bool) -> (evicted: Int, grown: Int) {
    var (evicted, grown) = (0, 0)
    for cell in TokenSet.ways.times {
      let count = count(at: cell)
      guard count > 0, isDue(cell, TokenSet.mask(cell, count)) else { continue }
      // In this order, so that no fork leaves a child with a tag whose cells are to be wiped.
      _ = words.exchange(0, at: cell)
      words.raise(TokenSet.mask(cell, count), at: TokenSet.stained)
      evicted &+= 1
      grown &-= count
    }
    return (evicted, grown)
  }

  /// Empty cells, or else those of tokens without a mark.
  private func room(for count: Int, near first: Int) -> Int? {
    var (taken, marked): (UInt64, UInt64) = (0, 0)
    for cell in TokenSet.ways.times {
      let mask = TokenSet.mask(cell, self.count(at: cell))
      taken |= mask
      if words.load(at: TokenSet.marks) & TokenSet.mask(cell, 1) != 0 { marked |= mask }
    }
    for step in (2 &* TokenSet.ways).times {
      let cell = (first &+ step) & 15
      let isFree = TokenSet.mask(cell, count) & (step < TokenSet.ways ? taken : marked) == 0
      if isFree, cell &+ count <= TokenSet.ways { return cell }
    }
    return nil
  }

  private func wipe() {
    let stained = words.load(at: TokenSet.stained)
    for cell in TokenSet.ways.times where stained & TokenSet.mask(cell, 1) != 0 {
      unsafe Memory.wipe(cells + cell &* TokenSet.cellSize, TokenSet.cellSize)
    }
    words.store(0, at: TokenSet.stained)
  }

  private func count(at cell: Int) -> Int { Int(truncatingIfNeeded: words.load(at: cell)) & 15 }

  @inline(__always)
  private func entry(at cell: Int) -> TokenEntry { unsafe TokenEntry(cells + cell &* TokenSet.cellSize) }

  /// Different for each token, so that they do not all want the same places of the processor's caches.
  @inline(__always)
  private static func first(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> 8) & 15 }

  private static func mask(_ cell: Int, _ count: Int) -> UInt64 {
    (1 &<< UInt64(truncatingIfNeeded: count) &- 1) &<< UInt64(truncatingIfNeeded: cell)
  }
}
