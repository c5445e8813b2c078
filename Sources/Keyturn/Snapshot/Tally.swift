// What verifications count, each thread for itself in a table that its record keeps, so that no thread ever waits for
// another one's number. Whoever wants to know adds up the tables of all records.
//
// C1: Numbers are written by the thread whose record it is, and by no other; who reads them holds the control lock.
// C2: A name is put in by that thread, behind zeros, while it holds what bears the name. It is taken out under the
//     control lock, when what bore it has been destroyed: nobody counts under it then, and nobody asks for it.
// C3: A table that is full is copied into one of twice its size and stays where it is, since somebody may be
//     reading it. All that stay behind are together smaller than the newest.
//
// Records are given to the next thread with their table, so that sums never go back when threads end.

/// One thread's table: rows of eight words, of which the first is a name, or 0 where the row is free. A row stands within
/// eight of where its name's hash points to. Before the rows stands the number of them, how often there was no row, and
/// where the table is that this one has replaced, so that those who look for lost memory find it.
@safe struct Tally {
  private let words: Items<UInt64>

  static var columns: Int { 7 }
  /// Two issuers of two keys; in the block of the record.
  static var fewest: Int { 16 }
  /// Of a thread that meets 20,000 issuers. What finds no row any more is counted as that.
  static var most: Int { 65_536 }

  private static var rowWords: Int { columns &+ 1 }
  private static var reach: Int { 8 }

  static func size(_ rows: Int) -> Int { (rows &+ 1) &* rowWords &* MemoryLayout<UInt64>.stride }

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    let base = unsafe memory.assumingMemoryBound(to: UInt64.self)
    let rows = Int(truncatingIfNeeded: unsafe Items(base, count: Tally.rowWords).load(at: 0))
    words = unsafe Items(base, count: (rows &+ 1) &* Tally.rowWords)
  }

  /// Over zeroed memory of `size(rows)`; a power of two.
  @unsafe init(_ memory: UnsafeMutableRawPointer, rows: Int) {
    unsafe memory.assumingMemoryBound(to: UInt64.self).pointee = UInt64(truncatingIfNeeded: rows)
    unsafe self.init(memory)
  }

  var rows: Int { words.count / Tally.rowWords &- 1 }

  /// Where the row of that name stands.
  func find(_ name: UInt64) -> Int? { place(of: name, for: name) }

  // MARK: - The thread whose table it is

  /// The same, in a free row if there is one near.
  func take(_ name: UInt64) -> Int? {
    if let known = find(name) { return known }
    guard let free = place(of: 0, for: name) else { return nil }
    for column in Tally.columns.times { set(0, at: free, column) }
    words.store(name, at: free)
    return free
  }

  func set(_ number: UInt64, at row: Int, _ column: Int) { words.store(number, at: row &+ 1 &+ column) }

  func add(at row: Int, _ column: Int) { set(number(at: row, column) &+ 1, at: row, column) }

  /// There was no row.
  func addMissing() { add(at: 0, 0) }

  /// Into an empty one. False if it is too small as well.
  func copy(to larger: Tally) -> Bool {
    copyNumbers(of: 0, to: larger, 0)
    var row = 0
    while row < words.count &- Tally.rowWords {
      row &+= Tally.rowWords
      let name = words.load(at: row)
      guard name != 0 else { continue }
      guard let free = larger.take(name) else { return false }
      copyNumbers(of: row, to: larger, free)
    }
    return true
  }

  func replaces(_ smaller: UInt) { set(UInt64(smaller), at: 0, Tally.columns &- 1) }

  @inline(never)
  private func copyNumbers(of row: Int, to other: Tally, _ place: Int) {
    for column in Tally.columns.times { other.set(number(at: row, column), at: place, column) }
  }

  // MARK: - Under the control lock

  func number(at row: Int, _ column: Int) -> UInt64 { words.load(at: row &+ 1 &+ column) }

  var missing: UInt64 { number(at: 0, 0) }

  func forget(_ name: UInt64) {
    if let row = find(name) { words.store(0, at: row) }
  }

  /// Where `wanted` stands among the rows that may be `name`'s.
  private func place(of wanted: UInt64, for name: UInt64) -> Int? {
    let start = Int(truncatingIfNeeded: (name &* 0x9e37_79b9_7f4a_7c15) &>> 40)
    for step in Tally.reach.times {
      let place = (((start &+ step) & (rows &- 1)) &+ 1) &* Tally.rowWords
      if words.load(at: place) == wanted { return place }
    }
    return nil
  }
}

/// What rows are named by: a number of `Serial`, and which of the rows that belong to it.
enum TallyName {
  /// How often its tokens were accepted, the latest of their `exp`, its first use and its last.
  static func key(_ id: UInt64) -> UInt64 { id &<< 8 | 0xff }

  /// Seven outcomes each.
  static func outcomes(_ id: UInt64, _ outcome: Outcome) -> UInt64 { id &<< 8 | UInt64(outcome.code / 7) }

  /// Each of one owner: a hundred has fewer than 17 statuses.
  static func visitOutcomes(of id: UInt64, _ body: (UInt64) -> Void) {
    for hundred in 10.times {
      for step in 3.times { body(id &<< 8 | UInt64((hundred &* 100) / 7 &+ step)) }
    }
  }
}

/// What becomes of a token: a status, or what else is counted of one whose kid is missing.
struct Outcome {
  let code: UInt32

  static var accepted: Outcome { Outcome(code: 0) }
  /// Accepted without a look at the signature, because that was known; in the row of the accepted ones.
  static var recognized: Outcome { Outcome(code: 5) }
  /// Of a cache: looked for in vain.
  static var notRecognized: Outcome { Outcome(code: 6) }

  init(code: UInt32) { self.code = code }
  init(_ status: Status) { code = status.rawValue }
  init(_ miss: Missed) { code = UInt32(miss.rawValue) }

  var column: Int { Int(code % 7) }

  /// How many words have one for each outcome: three rows of each hundred that there is.
  static var words: Int { 7 &* 21 }

  /// Which of them is its own.
  var word: Int {
    let hundred = Int(code / 100)
    return min(hundred, 6) &* 21 &+ Int(code) &- hundred &* 100 / 7 &* 7
  }

  /// The row that the seven words from there on are.
  static func row(of owner: UInt64, at word: Int) -> UInt64 {
    let hundred = word / 21 == 6 ? 9 : word / 21
    return owner &<< 8 | UInt64(hundred &* 100 / 7 &+ word % 21 / 7)
  }
}

/// How a kid that is not in the set was met; beside the status, and counted in places that no status has.
enum Missed: UInt8, BitwiseCopyable {
  case pending = 1
  case throttled = 2
  case listed = 3
  /// It was asked for, and the fetch failed.
  case failed = 4
}
