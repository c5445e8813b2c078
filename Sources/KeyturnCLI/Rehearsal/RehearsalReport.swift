@testable import Keyturn

/// What came of a rehearsal, for people and for scripts.
struct RehearsalReport {
  let rehearsal: Rehearsal
  private let tally: RehearsalTally
  private let scenario: Scenario

  init(_ rehearsal: Rehearsal) {
    self.rehearsal = rehearsal
    tally = rehearsal.tally
    scenario = rehearsal.scenario
  }

  // MARK: - For people

  var lines: [String] {
    let head =
      "\(scenario.title.isEmpty ? "" : "\(scenario.title): ")\(Span.exact(scenario.duration)), "
      + "\(RehearsalReport.grouped(tally.verifiers)) verifiers, seed \(scenario.seed)"
    return [head, ""] + tokenLines + keyLines + fetchLines + ["", verdict]
  }

  var verdict: String {
    guard !rehearsal.isSafe else {
      return "safe: no good token was refused, and none of a removed key accepted"
    }
    var faults: [String] = []
    if rehearsal.refused > 0 { faults.append("good tokens were refused") }
    if rehearsal.acceptedLate > 0 { faults.append("tokens of a removed key would have been accepted") }
    return "NOT SAFE: \(faults.joined(separator: ", and "))"
  }

  private var tokenLines: [String] {
    let (refused, late) = (
      RehearsalReport.grouped(rehearsal.refused), RehearsalReport.grouped(rehearsal.acceptedLate)
    )
    var lines = [
      row("good tokens", "\(RehearsalReport.grouped(rehearsal.tokens)), of which refused: \(refused)")
    ]
    lines += refusals.map {
      row("", "\($0.why)\($0.key.map { " (\($0))" } ?? ""): \(RehearsalReport.grouped($0.count))")
    }
    let waited = Rehearsal.whole(tally.waited)
    if waited > 0 { lines.append(row("", "waited for a fetch: \(RehearsalReport.grouped(waited))")) }
    lines.append(row("accepted late", late))
    for (key, name) in scenario.keys.enumerated() where tally.late[key] > 0 {
      lines.append(
        row(
          "",
          "\(name): \(RehearsalReport.grouped(Rehearsal.whole(tally.late[key]))), up to \(Span.exact(tally.lateFor[key])) after it was to be gone"
        ))
    }
    return lines
  }

  /// Where and when a verifier learned of a step last.
  private var keyLines: [String] {
    keys.map { key in
      var said: [String] = []
      if let at = key.published { said.append("published at + \(Span.exact(at))") }
      if let after = key.reached { said.append("the last verifier had it \(Span.exact(after)) later") }
      if let at = key.retired { said.append("retired at + \(Span.exact(at))") }
      if let after = key.left { said.append("the last verifier dropped it \(Span.exact(after)) later") }
      return row(
        "key \(key.name)", said.isEmpty ? "there from beginning to end" : said.joined(separator: "; "))
    }
  }

  private var fetchLines: [String] {
    let reasons = fetches.filter { $0.count > 0 }.map { "\($0.reason) \(RehearsalReport.grouped($0.count))" }
    let all = fetches.reduce(0) { $0 + $1.count }
    return [
      row(
        "fetches", "\(RehearsalReport.grouped(all))\(all > 0 ? ": " : "")\(reasons.joined(separator: ", "))"),
      row(
        "at the issuer",
        "\(RehearsalReport.grouped(requests)) requests, at most \(RehearsalReport.grouped(Int64(busiest.count))) in a second (at + \(Span.exact(busiest.at))), "
          + "\(RehearsalReport.decimal(mean)) on average"),
    ]
  }

  private func row(_ name: String, _ text: String) -> String { "\(name.padded(16)) \(text)" }

  static func grouped(_ number: Int64) -> String {
    var digits = String(number)
    var place = digits.count - 3
    while place > (number < 0 ? 1 : 0) {
      digits.insert(",", at: digits.index(digits.startIndex, offsetBy: place))
      place -= 3
    }
    return digits
  }

  static func decimal(_ number: Double) -> String {
    let parts = Int64((number * 100).rounded())
    return "\(grouped(parts / 100)).\(parts % 100 < 10 ? "0" : "")\(parts % 100)"
  }
}

// MARK: - The figures

extension RehearsalReport {
  struct Refused {
    let why: String
    let key: String?
    let count: Int64
  }

  var refusals: [Refused] {
    let words: [RehearsalTally.Refusal: String] = [
      .unknownKey: "unknown key", .unavailable: "keys unavailable", .tooManyWait: "too many wait",
      .clock: "clocks differ",
    ]
    return RehearsalTally.Refusal.allCases.flatMap { why in
      tally.refused[why.rawValue].enumerated().filter { $0.element > 0 }.map { place, count in
        Refused(
          why: words[why] ?? "", key: place < scenario.keys.count ? scenario.keys[place] : nil,
          count: Rehearsal.whole(count))
      }
    }
  }

  struct Key {
    let name: String
    var published: Int64?
    var reached: Int64?
    var retired: Int64?
    var left: Int64?
  }

  var keys: [Key] {
    scenario.keys.enumerated().map { place, name in
      var key = Key(name: name)
      key.published = scenario.steps.last { $0.act == .publish && $0.key == place }?.at
      key.retired = scenario.steps.last { $0.act == .retire && $0.key == place }?.at
      key.reached = key.published.flatMap { after(tally.lastGain[place], $0) }
      key.left = key.retired.flatMap { after(tally.lastLoss[place], $0) }
      return key
    }
  }

  private func after(_ time: Int64, _ step: Int64) -> Int64? { time >= step ? time - step : nil }

  var fetches: [(reason: String, count: Int64)] {
    let reasons: [(String, FlightReason)] = [
      ("start", .start), ("schedule", .schedule), ("retry", .retry), ("missing kid", .missingKid),
    ]
    return reasons.map { ($0.0, tally.fetches[Int($0.1.rawValue)]) }
  }

  var verifiers: Int64 { tally.verifiers }
  /// The time that a value of a course stands for.
  var bucket: Int64 { tally.bucket }
  var refusedCourse: [Int64] { tally.refusedAt.prefix(tally.buckets).map(Rehearsal.whole) }

  var requests: Int64 { tally.load.reduce(0) { $0 + Int64($1) } }
  var mean: Double { Double(requests) * 1_000 / Double(scenario.duration) }
  var busiest: (at: Int64, count: UInt32) {
    let most = tally.load.max() ?? 0
    return (Int64(tally.load.firstIndex(of: most) ?? 0) * 1_000, most)
  }

  /// How many verifiers trust each key, by bucket.
  func trusting(_ key: Int) -> [Int64] {
    var sum: Int64 = 0
    return tally.trust[key].prefix(tally.buckets).map { change in
      sum += change
      return sum
    }
  }

  /// The most requests in a second, by bucket.
  var load: [UInt32] {
    (0..<tally.buckets).map { place in
      let from = min(tally.load.count - 1, Int(Int64(place) * tally.bucket / 1_000))
      let to = min(tally.load.count - 1, Int(Int64(place + 1) * tally.bucket / 1_000))
      return tally.load[from...max(from, to - 1)].max() ?? 0
    }
  }
}

// MARK: - For scripts

extension RehearsalReport {
  var document: JSON {
    .object([
      "title": .text(scenario.title), "seed": .number(Int64(scenario.seed)), "safe": .flag(rehearsal.isSafe),
      "duration_seconds": seconds(scenario.duration), "verifiers": .number(tally.verifiers),
      "tokens": .object([
        "good": .number(rehearsal.tokens), "refused": .number(rehearsal.refused),
        "waited": .number(Rehearsal.whole(tally.waited)), "accepted_late": .number(rehearsal.acceptedLate),
      ]),
      "refusals": .list(
        refusals.map { .object(["why": .text($0.why), "key": JSON($0.key), "count": .number($0.count)]) }),
      "keys": .list(keys.enumerated().map { keyDocument($0, $1) }),
      "fetches": .object(
        Dictionary(
          fetches.map { ($0.reason.replacing(" ", with: "_"), .number($0.count)) }, uniquingKeysWith: { $1 })),
      "issuer": .object([
        "requests": .number(requests), "mean_per_second": .fraction(mean),
        "most_per_second": .number(Int64(busiest.count)), "busiest_second": seconds(busiest.at),
      ]),
      "course": .object([
        "bucket_seconds": seconds(tally.bucket), "most_per_second": .list(load.map { .number(Int64($0)) }),
        "refused": .list(refusedCourse.map { .number($0) }),
      ]),
    ])
  }

  private func keyDocument(_ place: Int, _ key: Key) -> JSON {
    .object([
      "name": .text(key.name), "published_at": seconds(key.published), "reached_after": seconds(key.reached),
      "retired_at": seconds(key.retired), "left_after": seconds(key.left),
      "accepted_late": .number(Rehearsal.whole(tally.late[place])), "late_for": seconds(tally.lateFor[place]),
      "trusted_by": .list(trusting(place).map { .number($0) }),
    ])
  }

  private func seconds(_ milliseconds: Int64?) -> JSON {
    guard let milliseconds else { return .null }
    return milliseconds % 1_000 == 0 ? .number(milliseconds / 1_000) : .fraction(Double(milliseconds) / 1_000)
  }
}
