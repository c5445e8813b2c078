/// What the issuer publishes and signs with, by each of its servers: they make a step one after the other.
struct Publication {
  /// A bit for each key.
  typealias KeySet = UInt64

  struct Change {
    let at: Int64
    let set: KeySet
  }

  /// The first holds from the beginning.
  let changes: [Change]
  /// Since when which key signs; the same.
  let signers: [(at: Int64, key: Int)]
  /// How long after the first of them each server makes a step.
  let delays: [Int64]

  init(_ scenario: Scenario) {
    var set: KeySet = (1 << UInt64(scenario.published)) - 1
    var changes = [Change(at: .min / 2, set: set)]
    var signers = [(at: Int64.min / 2, key: 0)]
    for step in scenario.steps {
      switch step.act {
      case .publish: set |= 1 << UInt64(step.key)
      case .retire: set &= ~(1 << UInt64(step.key))
      case .sign: signers.append((step.at, step.key))
      case .gone: continue
      }
      if set != changes[changes.count - 1].set { changes.append(Change(at: step.at, set: set)) }
    }
    self.changes = changes
    self.signers = signers
    delays = Publication.delays(scenario.issuer)
  }

  /// Spread over the whole of it; one alone is late.
  private static func delays(_ issuer: Scenario.Issuer) -> [Int64] {
    guard issuer.servers > 1 else { return [issuer.propagation] }
    return (0..<Int64(issuer.servers)).map { issuer.propagation * $0 / Int64(issuer.servers - 1) }
  }

  var slowest: Int { delays.count - 1 }

  func set(at server: Int, _ time: Int64) -> KeySet {
    changes.last { $0.at + delays[server] <= time }?.set ?? changes[0].set
  }
}
