@testable import Keyturn

// Which keys it trusts, and beyond when it should not.
extension VerifierLife {
  /// Who has stolen a removed key uses it as often as good tokens come.
  func noteLate(_ from: Int64, _ to: Int64) {
    guard world.firstGone < to else { return }
    for key in listed.indices where has(key) && world.gone[key] < to {
      let since = max(from, world.gone[key])
      tally.accept(late: key, traffic.rate * Double(to - since), for: to - world.gone[key])
    }
  }

  mutating func noteTrust(isFirst: Bool) {
    noteTrust(now < state.servedUntil(group.settings) ? set : 0, now, isFirst: isFirst)
  }

  mutating func noteTrust(_ new: Publication.KeySet, _ time: Int64, isFirst: Bool) {
    let changed = new ^ trusted
    guard changed != 0 else { return }
    trusted = new
    for key in listed.indices where changed & (1 << UInt64(key)) != 0 {
      tally.trust(key, new & (1 << UInt64(key)) != 0, time, isFirst: isFirst)
    }
  }
}
