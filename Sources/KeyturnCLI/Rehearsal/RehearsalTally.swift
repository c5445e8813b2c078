@testable import Keyturn

/// What became of the tokens and of the requests. Whole numbers only, so that the sum over many verifiers is the same in
/// whatever order they lived: tokens are counted in millionths, because they are shares of a stream.
final class RehearsalTally {
  enum Refusal: Int, CaseIterable {
    /// 401: the verifier has asked, or may not ask, or does not fetch.
    case unknownKey
    /// 503: no keys are served, or the fetch that it waited for has failed.
    case unavailable
    /// 503: more wait for a fetch than may.
    case tooManyWait
    /// Its times are good by the issuer's clock, but not by the verifier's.
    case clock
  }

  static let token = 1_000_000.0

  let buckets: Int
  let bucket: Int64
  private let keys: Int

  private(set) var verifiers: Int64 = 0
  private(set) var tokens: Int64 = 0
  private(set) var refused: [[Int64]]
  private(set) var waited: Int64 = 0
  /// Tokens of a key that nobody is to trust any more, if as many were made as good ones come.
  private(set) var late: [Int64]
  /// The longest that a verifier trusted it beyond that.
  private(set) var lateFor: [Int64]
  private(set) var fetches: [Int64]
  /// At the issuer, in each second.
  private(set) var load: [UInt32]
  private(set) var refusedAt: [Int64]
  /// By key: how many verifiers more, or fewer, trust it from then on.
  private(set) var trust: [[Int64]]
  /// When the last verifier first had the key after the start, and when the last lost it.
  private(set) var lastGain: [Int64]
  private(set) var lastLoss: [Int64]

  init(_ world: World) {
    keys = world.scenario.keys.count
    buckets = 720
    bucket = max(1, (world.end + 719) / 720)
    refused = Array(repeating: Array(repeating: 0, count: keys + 1), count: Refusal.allCases.count)
    late = Array(repeating: 0, count: keys)
    lateFor = late
    fetches = Array(repeating: 0, count: 8)
    load = Array(repeating: 0, count: Int(world.end / 1_000) + 2)
    refusedAt = Array(repeating: 0, count: buckets + 1)
    trust = Array(repeating: refusedAt, count: keys)
    lastGain = Array(repeating: .min, count: keys)
    lastLoss = lastGain
  }

  func begin(_ expected: Double) {
    verifiers += 1
    tokens += RehearsalTally.millionths(expected)
  }

  func request(_ time: Int64) {
    if time >= 0, time / 1_000 < Int64(load.count) { load[Int(time / 1_000)] += 1 }
  }

  func fetch(_ reason: FlightReason) { fetches[Int(reason.rawValue)] += 1 }

  func wait(_ count: Double) { waited += RehearsalTally.millionths(count) }

  /// Nil for what has nothing to do with one key.
  func refuse(_ why: Refusal, _ key: Int?, _ count: Double, _ time: Int64) {
    let number = RehearsalTally.millionths(count)
    refused[why.rawValue][key ?? keys] += number
    refusedAt[place(time)] += number
  }

  func accept(late key: Int, _ count: Double, for time: Int64) {
    late[key] += RehearsalTally.millionths(count)
    lateFor[key] = max(lateFor[key], time)
  }

  func trust(_ key: Int, _ isTrusted: Bool, _ time: Int64, isFirst: Bool) {
    trust[key][place(time)] += isTrusted ? 1 : -1
    guard !isFirst else { return }
    if isTrusted {
      lastGain[key] = max(lastGain[key], time)
    } else {
      lastLoss[key] = max(lastLoss[key], time)
    }
  }

  func place(_ time: Int64) -> Int { Int(max(0, min(Int64(buckets), time / bucket))) }

  static func millionths(_ count: Double) -> Int64 { Int64((count * token).rounded()) }

  func add(_ other: RehearsalTally) {
    verifiers += other.verifiers
    tokens += other.tokens
    waited += other.waited
    for place in refused.indices { RehearsalTally.add(other.refused[place], to: &refused[place]) }
    for place in trust.indices { RehearsalTally.add(other.trust[place], to: &trust[place]) }
    RehearsalTally.add(other.late, to: &late)
    RehearsalTally.add(other.fetches, to: &fetches)
    RehearsalTally.add(other.refusedAt, to: &refusedAt)
    for place in load.indices { load[place] += other.load[place] }
    for key in 0..<keys {
      lateFor[key] = max(lateFor[key], other.lateFor[key])
      lastGain[key] = max(lastGain[key], other.lastGain[key])
      lastLoss[key] = max(lastLoss[key], other.lastLoss[key])
    }
  }

  private static func add(_ numbers: [Int64], to sums: inout [Int64]) {
    for place in sums.indices { sums[place] += numbers[place] }
  }
}
