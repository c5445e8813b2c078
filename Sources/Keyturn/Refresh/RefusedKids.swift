/// Kids that the issuer was asked for and has not got: refused without asking again, for a while.
///
/// Fixed memory, which is given: sets of eight words. A word is half a keyed hash and the time, so that one
/// that reads while another writes never sees half an entry. Where a set is full the oldest goes: that
/// costs one more admission, which has its own bound.
struct RefusedKids {
  private let words: Items<UInt64>
  private let key: HashKey

  /// Over zeroed words, `words(for:)` of them.
  init(_ words: Items<UInt64>, key: HashKey) {
    self.words = words
    self.key = key
  }

  /// A power of two, so that a hash finds its set by its lowest bits.
  static func words(for kids: Int64) -> Int {
    var words = width
    while words < kids, words < 65_536 { words &*= 2 }
    return words
  }

  func hash(_ kid: Bytes) -> UInt64 { SipHash.hash13(kid, key: key) }

  func add(_ hash: UInt64, now: Int64) {
    let start = start(hash)
    var place = start
    for position in RefusedKids.width.times {
      let word = words.load(at: start &+ position)
      if word == 0 || tag(word) == tag(of: hash) {
        place = start &+ position
        break
      }
      if age(word, now) > age(words.load(at: place), now) { place = start &+ position }
    }
    words.store(tag(of: hash) &<< 32 | UInt64(UInt32(truncatingIfNeeded: now)), at: place)
  }

  /// Whether it was added less than `hold` ago.
  func contains(_ hash: UInt64, hold: Int64, now: Int64) -> Bool {
    let start = start(hash)
    for position in RefusedKids.width.times {
      let word = words.load(at: start &+ position)
      guard tag(word) == tag(of: hash) else { continue }
      return age(word, now) < hold
    }
    return false
  }

  /// When the set has changed, each of them may have come.
  func clear() {
    for position in words.count.times { words.store(0, at: position) }
  }

  private static var width: Int { 8 }

  private func start(_ hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash) & (words.count &- 1) & ~(RefusedKids.width &- 1)
  }

  /// Never 0, which is an empty word.
  private func tag(of hash: UInt64) -> UInt64 { hash &>> 32 | 1 }
  private func tag(_ word: UInt64) -> UInt64 { word &>> 32 }

  /// Exact up to 49 days.
  private func age(_ word: UInt64, _ now: Int64) -> Int64 {
    Int64(UInt32(truncatingIfNeeded: now) &- UInt32(truncatingIfNeeded: word))
  }
}
