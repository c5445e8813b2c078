/// A record as it stands in a file: words of one order under a version, and a sum that tells a damaged one,
/// or one half written, from a whole one. What is read is settled before it is believed.
extension RefreshRecord {
  static var wordCount: Int { 31 }
  private static var version: Int64 { 0x4b54_5252_0000_0001 }

  /// False, and the words worthless, if there are not `wordCount` of them.
  func write(_ words: Items<UInt64>) -> Bool {
    guard words.count >= RefreshRecord.wordCount else { return false }
    var out = WordCursor(words)
    out.put(RefreshRecord.version)
    out.put(demand)
    out.put(total)
    out.put(operators)
    out.put(backoff.failures)
    out.put(backoff.until)
    out.put(accepted)
    out.put(emptied)
    out.put(regressed)
    out.put(discovered)
    out.put(isGone ? 1 : 0)
    out.put(rekeyed)
    out.put(lastFlight)
    out.finish()
    return true
  }

  /// Nil for what is not whole, or of another version.
  init?(_ words: Items<UInt64>) {
    var cursor = WordCursor(words)
    guard cursor.isWhole(RefreshRecord.wordCount), cursor.number() == RefreshRecord.version else {
      return nil
    }
    demand = cursor.bucket()
    total = cursor.bucket()
    operators = cursor.bucket()
    backoff = Backoff(failures: cursor.number(), until: cursor.number())
    accepted = cursor.accepted()
    emptied = cursor.repeated()
    regressed = cursor.repeated()
    discovered = cursor.optional()
    isGone = cursor.number() != 0
    rekeyed = cursor.optional()
    lastFlight = cursor.number()
  }
}

private struct WordCursor {
  private let words: Items<UInt64>
  private var position = 0
  private var sum = SipHash(key: HashKey(low: 0, high: 0))

  init(_ words: Items<UInt64>) { self.words = words }

  // MARK: - Writing

  mutating func put(_ number: Int64) {
    let word = UInt64(bitPattern: number)
    words.set(word, at: position)
    sum.absorb(word: word)
    position &+= 1
  }

  mutating func put(_ number: Int64?) {
    put(number == nil ? 0 : 1)
    put(number ?? 0)
  }

  mutating func put(_ bucket: TokenBucket) {
    put(bucket.tokens)
    put(bucket.since)
  }

  mutating func put(_ accepted: RefreshRecord.Accepted?) {
    put(accepted == nil ? 0 : 1)
    put(accepted?.began ?? 0)
    put(accepted?.freshness ?? 0)
    put(accepted?.limit ?? 0)
    put(Int64(bitPattern: accepted?.digest ?? 0))
    put(accepted?.generated)
  }

  mutating func put(_ repeated: RefreshRecord.Repeated) {
    put(Int64(bitPattern: repeated.digest))
    put(repeated.count)
    put(repeated.first)
    put(repeated.last)
  }

  mutating func finish() { words.set(sum.finish(), at: position) }

  // MARK: - Reading

  func isWhole(_ count: Int) -> Bool {
    var sum = SipHash(key: HashKey(low: 0, high: 0))
    for place in (count &- 1).times { sum.absorb(word: words.item(at: place) ?? 0) }
    return words.item(at: count &- 1) == sum.finish()
  }

  mutating func number() -> Int64 {
    let word = words.item(at: position) ?? 0
    position &+= 1
    return Int64(bitPattern: word)
  }

  mutating func optional() -> Int64? {
    let isThere = number() != 0
    let number = number()
    return isThere ? number : nil
  }

  mutating func bucket() -> TokenBucket { TokenBucket(tokens: number(), since: number()) }

  mutating func accepted() -> RefreshRecord.Accepted? {
    let isThere = number() != 0
    let accepted = RefreshRecord.Accepted(
      began: number(), freshness: number(), limit: number(), digest: UInt64(bitPattern: number()),
      generated: optional())
    return isThere ? accepted : nil
  }

  mutating func repeated() -> RefreshRecord.Repeated {
    RefreshRecord.Repeated(
      digest: UInt64(bitPattern: number()), count: number(), first: number(), last: number())
  }
}
