import ArgumentParser
import Foundation

struct RehearseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rehearse",
    abstract: "Lives through a rotation on a simulated clock, and counts what it would refuse.",
    discussion: """
      The scenario is YAML or JSON, as docs/cli.md describes it, or what `keyturn plan --json` writes. Every verifier runs the \
      library's own refresh state. The same scenario and seed give the same numbers.

        keyturn rehearse examples/rehearsal/staged.yaml
        keyturn rehearse examples/rehearsal/staged.yaml --html staged.html
        keyturn plan --token-lifetime 1h --freshness 5m --json | keyturn rehearse -
        keyturn rehearse examples/rehearsal/staged.yaml --json --seed 7

      Exit status: 0 no good token was refused and none of a removed key accepted, 2 some were, 1 the scenario cannot be \
      read (its line and field are named) or the picture not be written, 64 for a wrong command line.
      """)

  @Argument(help: ArgumentHelp("The scenario; - is standard input.", valueName: "file")) var scenario: String
  @Option(help: ArgumentHelp("Another seed than the scenario's.", valueName: "number")) var seed: UInt64?
  @Option(help: ArgumentHelp("Gateways that a plan is rehearsed with (default: 1000).", valueName: "number"))
  var verifiers: Int?
  @Option(help: ArgumentHelp("Write a picture of it: one file, which needs no network.", valueName: "path"))
  var html: String?
  @Flag(help: "Write JSON.") var json = false

  func validate() throws {
    guard verifiers.map({ (1...Scenario.mostVerifiers).contains($0) }) ?? true else {
      throw ValidationError("--verifiers: not between 1 and \(Scenario.mostVerifiers).")
    }
    guard seed.map({ $0 <= Scenario.mostSeed }) ?? true else {
      throw ValidationError("--seed: larger than \(Scenario.mostSeed).")
    }
    guard html != "-" || !json else { throw ValidationError("--html - and --json want the same place.") }
  }

  func run() throws {
    try orComplain {
      var read = try ScenarioReader.read(scenario)
      if let seed { read.seed = seed }
      if let verifiers { try read.scale(to: verifiers) }
      let rehearsal = Terminal.whileSaying("rehearsing") { Rehearsal(read) }
      let report = RehearsalReport(rehearsal)
      if let html { try File.write(RehearsalPage(report).html, to: html) }
      if json { Terminal.line(report.document.written()) } else if html != "-" { show(report) }
      if !rehearsal.isSafe { throw Exit.refused }
    }
  }

  private func show(_ report: RehearsalReport) {
    for line in report.lines.dropLast() { Terminal.line(Terminal.safe(line)) }
    Terminal.line(Terminal.coloured(report.verdict, report.rehearsal.isSafe ? .good : .bad))
  }
}

extension Scenario {
  /// A plan says nothing of how many there are.
  fileprivate mutating func scale(to count: Int) throws(Complaint) {
    guard isPlan else { throw Complaint("--verifiers is for plans: the scenario says how many there are") }
    for group in groups.indices { groups[group].count = count }
  }
}
