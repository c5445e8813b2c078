import Dispatch

/// A rotation lived through, and what came of it. The same scenario gives the same numbers, whatever the machine.
struct Rehearsal {
  let scenario: Scenario
  let tally: RehearsalTally

  init(_ scenario: Scenario, workers: Int = 2) {
    self.scenario = scenario
    let world = World(scenario)
    let fleet = Fleet(world)
    let parts = Parts((0..<max(1, workers)).map { _ in RehearsalTally(world) })
    let members = fleet.members
    DispatchQueue.concurrentPerform(iterations: parts.tallies.count) { part in
      for place in stride(from: part, to: members.count, by: parts.tallies.count) {
        var life = VerifierLife(world, members[place], parts.tallies[part])
        life.live()
      }
    }
    tally = parts.tallies[0]
    for other in parts.tallies.dropFirst() { tally.add(other) }
    for time in fleet.fills { tally.request(time) }
  }

  /// No worker touches another's.
  private struct Parts: @unchecked Sendable {
    let tallies: [RehearsalTally]

    init(_ tallies: [RehearsalTally]) { self.tallies = tallies }
  }

  // MARK: - What came of it

  var tokens: Int64 { Rehearsal.whole(tally.tokens) }
  /// A part of a token is one: that is how many are to be reckoned with.
  var refused: Int64 { tally.refused.joined().reduce(0) { $0 + Rehearsal.whole($1) } }
  var acceptedLate: Int64 { tally.late.reduce(0) { $0 + Rehearsal.whole($1) } }
  var isSafe: Bool { refused == 0 && acceptedLate == 0 }

  static func whole(_ millionths: Int64) -> Int64 { (millionths + 999_999) / 1_000_000 }
}
