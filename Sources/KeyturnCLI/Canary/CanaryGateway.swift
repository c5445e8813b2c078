import Foundation

/// A gateway that is asked until all of its workers have answered as expected, one after the other.
///
/// Nobody tells when a worker has gone, and a number of workers may be wrong: so one other answer makes all count anew.
final class CanaryGateway: @unchecked Sendable {
  let url: String
  private let needed: Needed
  /// Also for the last, which ends after the time is over: cut short, it would only hide why.
  private static let patience: UInt32 = 5_000

  private(set) var answers = 0
  private(set) var inARow = 0
  private(set) var workers: Set<Int64> = []
  /// The last answer that was not as expected.
  private(set) var other: String?

  struct Needed {
    let workers: Int
    /// In a row, of workers that do not say who they are.
    let answers: Int
  }

  init(_ url: String, _ needed: Needed) { (self.url, self.needed) = (url, needed) }

  var hasConverged: Bool { workers.isEmpty ? inARow >= needed.answers : workers.count >= needed.workers }

  func ask(_ question: CanaryQuestion, _ options: Visit.Options, until end: Date) throws(Complaint) {
    while !hasConverged, end.timeIntervalSinceNow > 0 {
      let answer = try Visit.pay(url, options, milliseconds: CanaryGateway.patience)
      let isNews = take(question.finding(answer), question.expected)
      if !isNews { usleep(inARow > 0 ? 20_000 : 250_000) }
    }
  }

  /// Whether it brings the end nearer.
  private func take(_ finding: CanaryQuestion.Finding, _ expected: Expectation) -> Bool {
    answers += 1
    guard finding.verdict == expected else {
      other = (finding.worker.map { "worker \($0): " } ?? "") + finding.why
      (inARow, workers) = (0, [])
      return false
    }
    inARow += 1
    return finding.worker.map { workers.insert($0).inserted } ?? true
  }

  // MARK: - Telling

  private var seen: String {
    workers.isEmpty
      ? "\(inARow) of \(needed.answers) answers in a row" : "\(workers.count) of \(needed.workers) workers"
  }

  var line: String {
    let word = hasConverged ? Terminal.coloured("converged", .good) : Terminal.coloured("behind   ", .bad)
    let why = hasConverged ? "" : other.map { "; last: \($0)" } ?? ""
    return "\(word) \(Terminal.safe(url)): \(seen) as expected\(why)"
  }

  var json: JSON {
    .object([
      "url": .text(url), "converged": .flag(hasConverged), "asked": .number(Int64(answers)),
      "in_a_row": .number(Int64(inARow)), "workers": .list(workers.sorted().map { .number($0) }),
      "why": hasConverged ? .null : JSON(other),
    ])
  }
}
