@testable import Keyturn

/// What one verifier that has lived in earnest had, taken in its order: when each of its fetches was at the issuer and
/// how long it took, and when its tokens came. What follows from them is the refresh state's word, here as there: a
/// fetch that it would not have made by then is not made, and one that it makes is made though none is recorded.
struct Replay {
  /// So much later than it should a machine may do what is due.
  static let lateness: Int64 = 250

  private let record: Scenario.Record
  private var next = 0

  init(_ record: Scenario.Record) { self.record = record }

  /// How old the last answer was at the start.
  mutating func startsAt() -> Int64 {
    next = record.fetches.prefix { $0.at <= 0 }.count
    return next > 0 ? -record.fetches[next - 1].at : 0
  }

  /// The one that has begun now.
  mutating func fetch(at now: Int64) -> Scenario.Record.Fetch? {
    while next < record.fetches.count, record.fetches[next].at < now - Replay.lateness { next += 1 }
    guard next < record.fetches.count, record.fetches[next].at <= now + Replay.lateness else { return nil }
    defer { next += 1 }
    return record.fetches[next]
  }

  /// Of all that chance could have said, that after which its next fetch is due when it was made, or the least before.
  func jitter(of event: RefreshEvent, _ state: RefreshState, _ settings: RefreshSettings, _ now: Int64)
    -> UInt64?
  {
    guard next < record.fetches.count else { return nil }
    let wanted = record.fetches[next].at
    func due(_ random: UInt64) -> Int64 {
      var after = state
      _ = after.next(event, settings, now: now, random: random)
      return after.deadline
    }
    var (low, high) = (UInt64.min, UInt64.max)
    while high - low > 1 << 50 {
      let middle = low + (high - low) / 2
      if due(middle) <= wanted { low = middle } else { high = middle }
    }
    return low
  }

  /// The first token that may begin a flight.
  func token(_ from: Int64, _ to: Int64, _ may: (Int?, Int64) -> Bool) -> (Int64, Int?)? {
    record.tokens.first { $0.at >= from && $0.at < to && may($0.key, $0.at) }.map { ($0.at, $0.key) }
  }

  func count(_ key: Int, _ from: Int64, _ to: Int64) -> Double {
    Double(record.tokens.count { $0.key == key && $0.at >= from && $0.at < to })
  }
}
