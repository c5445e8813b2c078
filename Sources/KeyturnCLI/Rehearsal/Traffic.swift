import Foundation

// How many tokens of a key come to a verifier: not one by one, but as the integral of their rate. A token is used when it
// is issued (the fresh share), or at any age up to its end, one as likely as another. So the rate at a time follows from
// what was issued when:
//
//   rate(t) = fresh * g(t) + (1 - fresh) / W * (G(t - youngest) - G(t - oldest)),  G the integral of g
//
// where g is the share of new tokens that the key signs, a step for each server of the issuer. The integral of rate needs
// the integral of G, which is kept at each step.

/// The share of new tokens that one key signs.
struct SigningShare {
  private struct Piece {
    let from: Double
    let share: Double
    let sum: Double
    let sumOfSums: Double
  }

  private let pieces: [Piece]
  /// From the first to the last time at which it signs.
  let first: Int64
  let last: Int64

  /// `start` is before any token that is alive at the start.
  init(_ key: Int, _ publication: Publication, from start: Int64) {
    let times = Set(
      publication.signers.flatMap { signer in publication.delays.map { max(start, signer.at + $0) } }
    ).sorted()
    let shares = times.map { SigningShare.share(key, publication, $0) }
    var pieces: [Piece] = []
    var (sum, sums) = (0.0, 0.0)
    for (place, time) in times.enumerated() {
      pieces.append(Piece(from: Double(time), share: shares[place], sum: sum, sumOfSums: sums))
      guard place + 1 < times.count else { break }
      let length = Double(times[place + 1] - time)
      sums += sum * length + shares[place] * length * length / 2
      sum += shares[place] * length
    }
    self.pieces = pieces
    let signs = shares.indices.filter { shares[$0] > 0 }
    first = signs.first.map { times[$0] } ?? .max
    last = signs.last.map { $0 + 1 < times.count ? times[$0 + 1] : .max } ?? .min
  }

  private static func share(_ key: Int, _ publication: Publication, _ time: Int64) -> Double {
    let signing = publication.delays.filter { delay in
      publication.signers.last { $0.at + delay <= time }?.key ?? publication.signers[0].key == key
    }
    return Double(signing.count) / Double(publication.delays.count)
  }

  func sums(_ time: Double) -> (one: Double, two: Double) {
    var place = 0
    while place + 1 < pieces.count, pieces[place + 1].from <= time { place += 1 }
    let piece = pieces[place]
    let length = max(0, time - piece.from)
    return (
      piece.sum + piece.share * length,
      piece.sumOfSums + piece.sum * length + piece.share * length * length / 2
    )
  }
}

/// The tokens that come to one verifier, whose clock may be wrong.
struct Traffic {
  private let shares: [SigningShare]
  /// In a millisecond.
  let rate: Double
  private let fresh: Double
  private let youngest: Int64
  private let oldest: Int64
  private let window: Double

  /// `ahead`: the issuer's clock before the verifier's.
  init(_ shares: [SigningShare], _ scenario: Scenario, _ group: Scenario.Group, ahead: Int64) {
    self.shares = shares
    rate = group.requestsPerSecond / 1_000
    youngest = max(0, ahead - group.leeway)
    oldest = max(youngest, scenario.issuer.tokenLifetime + group.leeway + ahead)
    window = Double(max(scenario.issuer.tokenLifetime, oldest))
    fresh = scenario.freshShare
  }

  /// Of all tokens, those whose times refuse them although they are alive: too young, or too old.
  var outOfTime: Double {
    let old = window - Double(oldest)
    return (youngest > 0 ? fresh : 0) + (1 - fresh) * min(1, (Double(youngest) + old) / window)
  }

  /// How many come in this time, of any key, that their times do not refuse.
  func all(_ from: Int64, _ to: Int64) -> Double { rate * (1 - outOfTime) * Double(to - from) }

  /// When a first and a last token of the key may come that its times do not refuse.
  func comes(_ key: Int) -> (from: Int64, to: Int64) {
    let share = shares[key]
    return (
      share.first == .max ? .max : share.first + youngest, share.last == .max ? .max : share.last &+ oldest
    )
  }

  /// How many of the key come in this time.
  func count(_ key: Int, _ from: Int64, _ to: Int64) -> Double {
    let (first, last) = comes(key)
    let (from, to) = (max(from, first), min(to, last))
    guard from < to, rate > 0 else { return 0 }
    let (early, late) = (sums(key, from), sums(key, to))
    return max(0, rate * (late - early))
  }

  private func sums(_ key: Int, _ time: Int64) -> Double {
    let share = shares[key]
    let aged = share.sums(Double(time - youngest)).two - share.sums(Double(time - oldest)).two
    let now = youngest > 0 ? 0 : share.sums(Double(time)).one
    return fresh * now + (1 - fresh) / window * aged
  }

  /// When the first of them comes, by chance; nil if none does.
  func first(_ key: Int, _ from: Int64, _ to: Int64, _ chance: inout Chance) -> Int64? {
    let comes = comes(key)
    let (from, to) = (max(from, comes.from), min(to, comes.to))
    guard from < to else { return nil }
    let wanted = chance.waiting()
    guard count(key, from, to) > wanted else { return nil }
    var (low, high) = (from, to)
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if count(key, from, middle) > wanted { high = middle } else { low = middle }
    }
    return low
  }
}

/// SplitMix64: the same at each run, and one for each who needs one.
struct Chance {
  private var state: UInt64

  init(_ seed: UInt64, _ who: UInt64...) {
    state = who.reduce(Chance.mix(seed)) { Chance.mix($0 ^ $1 &* 0x9e37_79b9_7f4a_7c15) }
  }

  mutating func word() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return Chance.mix(state)
  }

  private static func mix(_ word: UInt64) -> UInt64 {
    var mixed = word
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  /// From 0 up to 1, which it does not reach.
  mutating func share() -> Double { Double(word() >> 11) / Double(1 << 53) }

  mutating func below(_ limit: Int64) -> Int64 {
    limit > 1 ? Int64(word().multipliedFullWidth(by: UInt64(limit)).high) : 0
  }

  /// Until the first of events that come once in a unit of time, one independent of the other.
  mutating func waiting() -> Double { -log(1 - share()) }
}
