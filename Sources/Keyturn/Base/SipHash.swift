internal import CKeyturn
internal import Synchronization

/// SipHash-1-3, a keyed hash: without the key nobody can construct collisions (Aumasson, Bernstein 2012).
struct SipHash {
  private var v0: UInt64
  private var v1: UInt64
  private var v2: UInt64
  private var v3: UInt64
  private var pending: UInt64 = 0
  private var count: UInt64 = 0

  init(key: HashKey) {
    v0 = key.low ^ 0x736f_6d65_7073_6575
    v1 = key.high ^ 0x646f_7261_6e64_6f6d
    v2 = key.low ^ 0x6c79_6765_6e65_7261
    v3 = key.high ^ 0x7465_6462_7974_6573
  }

  static func hash13(_ bytes: Bytes, key: HashKey) -> UInt64 {
    var hash = SipHash(key: key)
    hash.absorb(last: bytes)
    return hash.finish()
  }

  /// The last octets, after nothing but whole words.
  @inline(__always)
  mutating func absorb(last bytes: Bytes) {
    var position = 0
    while let word = bytes.word(at: position) {
      compress(word)
      position &+= 8
    }
    pending = bytes.lastWord(from: position)
    count &+= UInt64(truncatingIfNeeded: bytes.count)
  }

  mutating func absorb(_ octet: UInt8) {
    pending |= UInt64(octet) &<< ((count & 7) &* 8)
    count &+= 1
    guard count & 7 == 0 else { return }
    compress(pending)
    pending = 0
  }

  /// Eight octets, the lowest first; only before any that are not a whole word.
  @inline(__always)
  mutating func absorb(word: UInt64) {
    compress(word)
    count &+= 8
  }

  @inline(__always)
  mutating func finish() -> UInt64 {
    compress(pending | count &<< 56)
    v2 ^= 0xff
    round()
    round()
    round()
    return v0 ^ v1 ^ v2 ^ v3
  }

  @inline(__always)
  private mutating func compress(_ word: UInt64) {
    v3 ^= word
    round()
    v0 ^= word
  }

  @inline(__always)
  private mutating func round() {
    v0 = v0 &+ v1
    v2 = v2 &+ v3
    v1 = rotate(v1, 13) ^ v0
    v3 = rotate(v3, 16) ^ v2
    v0 = rotate(v0, 32)
    v2 = v2 &+ v1
    v0 = v0 &+ v3
    v1 = rotate(v1, 17) ^ v2
    v3 = rotate(v3, 21) ^ v0
    v2 = rotate(v2, 32)
  }

  @inline(__always)
  private func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 {
    word &<< bits | word &>> (64 &- bits)
  }
}

/// The key of a keyed hash.
struct HashKey {
  let low: UInt64
  let high: UInt64

  static func random() throws(Status) -> HashKey {
    HashKey(low: try randomWord(), high: try randomWord())
  }

  /// One for the process, made on first use; forked children share it.
  ///
  /// Each half is set once, by whichever thread comes first: halves of two threads make as good a key.
  static var process: HashKey {
    get throws(Status) {
      HashKey(low: try settled(processLow), high: try settled(processHigh))
    }
  }

  private static let processLow = Atomic<UInt64>(0)
  private static let processHigh = Atomic<UInt64>(0)

  @inline(__always)
  private static func settled(_ half: borrowing Atomic<UInt64>) throws(Status) -> UInt64 {
    let word = half.load(ordering: .relaxed)
    return word != 0 ? word : try settle(half)
  }

  @inline(never)
  private static func settle(_ half: borrowing Atomic<UInt64>) throws(Status) -> UInt64 {
    let fresh = try randomWord()
    let (mine, before) = half.compareExchange(expected: 0, desired: fresh, ordering: .relaxed)
    return mine ? fresh : before
  }

  /// Never 0, which stands for a half not yet set.
  private static func randomWord() throws(Status) -> UInt64 {
    var word: UInt64 = 0
    guard unsafe ckeyturn_random(&word, 8) == 0 else { throw .cryptoFailure }
    return max(word, 1)
  }
}
