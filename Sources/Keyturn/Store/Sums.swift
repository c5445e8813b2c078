internal import CKeyturn

/// What all processes of a store have counted of one issuer, or of the tokens of none: the file of it as this process last
/// read or wrote it, and how much of that is its own. What is left is what the others have counted, and all those before
/// them. Under the control lock.
struct Sums: ~Copyable {
  private var file = StoredFile.empty
  /// Of the numbers, what was counted here and is in the file. Keys have it themselves.
  private var own: Items<UInt64> = .none
  /// The file may be there already, and here is not yet.
  var isBeingWritten = false
  private var forks = ckeyturn_forks()

  /// Those of a ledger, then one for each outcome of a token.
  static var numbers: Int { Ledger.count &+ Outcome.words }
  typealias Numbers = InlineArray<233, UInt64>

  deinit { unsafe Memory.release(own.pointer) }

  private var page: SumsPage { SumsPage(file.content) }

  // MARK: - What it tells

  /// Of a number, what others have counted.
  func others(at position: Int) -> UInt64 { page.number(position) &- (own.item(at: position) ?? 0) }

  /// Of a key, with what others have counted.
  func uses(of key: Key, _ own: Uses) -> Uses {
    guard let place = page.place(of: SumsPage.Name(key)) else { return own }
    var uses = own
    uses.add(page.uses(at: place))
    uses.accepted &-= key.summed
    return uses
  }

  /// When tokens were last known to have gone uncounted, in Unix seconds; 0 for never.
  var gap: UInt64 { page[SumsPage.gap] }

  func isNews(_ counted: Items<UInt64>, at position: Int) -> Bool {
    counted.item(at: position) ?? 0 != own.item(at: position) ?? 0
  }

  func isNews(_ counted: Items<UInt64>) -> Bool {
    var position = 0
    while position < counted.count, !isNews(counted, at: position) { position &+= 1 }
    return position < counted.count
  }

  // MARK: - What changes it

  /// Whether what was counted here may be a parent's; true once in each child.
  mutating func isParents() -> Bool {
    defer { forks = ckeyturn_forks() }
    return forks != ckeyturn_forks()
  }

  /// Takes over a file if it is the later one.
  mutating func take(_ other: inout StoredFile) {
    let page = SumsPage(other.content)
    if page.isWhole, page[SumsPage.sequence] > self.page[SumsPage.sequence] { swap(&file, &other) }
  }

  /// The file that is to follow: with these numbers, and the uses of these keys, as they were counted here.
  mutating func next(
    _ counted: Items<UInt64>, _ keys: KeySet?, gap: UInt64
  ) throws(StoreFault) -> StoredFile {
    guard reserve() else { throw .noMemory }
    var more = 0
    for position in (keys?.count ?? 0).times {
      if let key = keys?.usedKey(position), page.place(of: SumsPage.Name(key)) == nil { more &+= 1 }
    }
    let room = page.room(forMore: more)
    let next = try StoredFile.make(SumsPage.kind, count: SumsPage.size(room))
    next.content.copy(file.contentBytes, at: 0)
    let new = SumsPage(next.content)
    new.put(page[SumsPage.sequence] &+ 1, SumsPage.sequence)
    new.put(max(gap, page[SumsPage.gap]), SumsPage.gap)
    new.put(UInt64(truncatingIfNeeded: room), SumsPage.keys)
    for position in counted.count.times {
      new.put(number: others(at: position) &+ (counted.item(at: position) ?? 0), position)
    }
    for position in (keys?.count ?? 0).times { if let key = keys?.usedKey(position) { new.add(key) } }
    return next
  }

  /// That file is there. What was counted is in it; or another's, in a child.
  mutating func settle(_ counted: Items<UInt64>, _ keys: KeySet?) {
    isBeingWritten = false
    guard reserve() else { return }
    #if !KEYTURN_MUTANT_SUM_TWICE  // what the sums suite must catch
      for position in counted.count.times { own.set(counted.item(at: position) ?? 0, at: position) }
    #endif
    for position in (keys?.count ?? 0).times {
      if let key = keys?.usedKey(position) { key.summed = key.counted }
    }
  }

  @inline(never)
  private mutating func reserve() -> Bool {
    if own.count > 0 { return true }
    do throws(Status) {
      let memory = try unsafe Memory.allocate(Sums.numbers &* 8)
      own = unsafe Items(memory.assumingMemoryBound(to: UInt64.self), count: Sums.numbers)
      return true
    } catch { return false }
  }
}

extension KeySet {
  /// Looks up how many tokens each has verified.
  func countUses() {
    for position in count.times {
      if let key = key(at: position) { key.counted = Readers.uses(of: key.id).accepted }
    }
  }

  /// One with tokens that are in no sum.
  @inline(never)
  fileprivate func usedKey(_ position: Int) -> Key? {
    guard let key = key(at: position), key.counted != key.summed else { return nil }
    return key
  }
}

/// The content of the file, in words:
///
///     sequence · gap · room for keys · numbers · of each key: two words of its name, accepted, latest exp, first use, last use
///
/// Of two the one with the higher sequence is the later, and has all that is in the other. Where the name is 0, there is room.
struct SumsPage {
  private let room: Room

  /// Its lower half is the release of the form.
  static var kind: UInt64 { 0x4b54_534d_0000_0001 }
  static var largest: Int { size(mostKeys) }

  static var sequence: Int { 0 }
  static var gap: Int { 1 }
  static var keys: Int { 2 }
  private static var head: Int { 3 }
  private static var keyWords: Int { 6 }
  /// Beyond, the one that was used least lately makes room.
  static var mostKeys: Int { 1_024 }

  struct Name {
    let low: UInt64
    let high: UInt64

    /// A thumbprint of a secret would tell of the secret.
    init(_ key: Key) {
      let digest = KeySet.digest(of: key.kid, key.secret.isEmpty ? key.thumbprint : .empty)
      (low, high) = (digest[0], digest[1])
    }
  }

  init(_ room: Room) { self.room = room }

  static func size(_ keys: Int) -> Int { (head &+ Sums.numbers &+ keys &* keyWords) &* 8 }

  var isWhole: Bool { count <= SumsPage.mostKeys && room.count == SumsPage.size(count) }

  private var count: Int { Int(truncatingIfNeeded: self[SumsPage.keys] & 0xffff) }

  @inline(never)
  subscript(_ word: Int) -> UInt64 { room.bytes(room.count).word(at: word &* 8) ?? 0 }

  @inline(never)
  func put(_ number: UInt64, _ word: Int) { room.set(word: number, at: word &* 8) }

  func number(_ position: Int) -> UInt64 { self[SumsPage.head &+ position] }
  func put(number: UInt64, _ position: Int) { put(number, SumsPage.head &+ position) }

  // MARK: - Keys

  private func start(_ place: Int) -> Int { SumsPage.head &+ Sums.numbers &+ place &* SumsPage.keyWords }

  @inline(never)
  func place(of name: Name) -> Int? {
    for place in count.times where self[start(place)] == name.low && self[start(place) &+ 1] == name.high {
      return place
    }
    return nil
  }

  /// For how many keys there is to be room. Those without a name have no last use.
  func room(forMore keys: Int) -> Int {
    var taken = keys
    for place in count.times where self[start(place) &+ 5] != 0 { taken &+= 1 }
    return max(count, min(SumsPage.mostKeys, (taken &+ 7) & ~7))
  }

  private var leastUsed: Int {
    var least = 0
    for place in count.times where self[start(place) &+ 5] < self[start(least) &+ 5] { least = place }
    return least
  }

  func uses(at place: Int) -> Uses {
    func time(_ field: Int) -> Int64 { Int64(bitPattern: self[start(place) &+ field]) }
    return Uses(accepted: self[start(place) &+ 2], latestExpiry: time(3), first: time(4), last: time(5))
  }

  /// What was counted of the key here, and is in no sum.
  func add(_ key: Key) {
    let name = Name(key)
    let known = place(of: name)
    let place = known ?? leastUsed
    var uses = Readers.uses(of: key.id)
    uses.accepted = key.counted &- key.summed
    if known != nil { uses.add(self.uses(at: place)) }
    let start = start(place)
    put(name.low, start)
    put(name.high, start &+ 1)
    put(uses.accepted, start &+ 2)
    put(UInt64(bitPattern: uses.latestExpiry), start &+ 3)
    put(UInt64(bitPattern: uses.first), start &+ 4)
    put(UInt64(bitPattern: uses.last), start &+ 5)
  }
}
