import ArgumentParser
import CKeyturnAPI

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Tells every check that a token passes or fails, and what would make it pass.",
    discussion: """
      The checks are the library's, in its order. After one that fails the token is judged again as if that one held, \
      so that the others are seen too: as far as there is a key that could have signed it. iss, aud, alg, kid and the \
      times of the token are shown; nothing else of it is.

        keyturn explain --issuer https://login.example.com --audiences orders < token

      Exit status: 0 accepted, 2 refused, 3 no verdict because the keys are not at hand, 1 it could not be done, \
      64 for a wrong command line.
      """)

  @OptionGroup(title: "Token") var token: TokenArguments
  @OptionGroup(title: "Keys") var source: SourceArguments
  @OptionGroup(title: "Policy") var policy: PolicyArguments
  @Flag(help: "Write JSON.") var json = false

  func run() throws {
    try orComplain {
      let clock = Clock(at: policy.moment ?? Clock.now)
      let bench = try Bench(source.settings(), clock: clock)
      let octets = try token.read()
      var explanation = Explanation(octets, by: try policy.settings(), clock: clock)
      try Terminal.whileSaying("asking the issuer") { try explanation.run(bench) }
      if json {
        Terminal.line(JSON.list(explanation.steps.map(\.json)).written())
      } else {
        for step in explanation.steps { step.show() }
      }
      guard let first = explanation.firstFailure else { return }
      throw jwt_status_http(first) == 503 ? Exit.noVerdict : Exit.refused
    }
  }
}

extension Explanation.Step {
  fileprivate func show() {
    switch outcome {
    case .passed: Terminal.line("\(Terminal.coloured("passed ", .good)) \(name.padded(11)) \(what)")
    case .unknown:
      Terminal.line("\(Terminal.coloured("unknown", .quiet)) \(name.padded(11)) \(what): not reached")
    case .failed(let status, let why, let cure):
      Terminal.line(
        "\(Terminal.coloured("FAILED ", .bad)) \(name.padded(11)) \(status.name): \(Terminal.safe(why))")
      Terminal.line(String(repeating: " ", count: 20) + "to pass: \(Terminal.safe(cure))")
    }
  }

  fileprivate var json: JSON {
    let (outcome, status, why, cure): (String, jwt_status?, String?, String?) =
      switch outcome {
      case .passed: ("passed", nil, nil, nil)
      case .unknown: ("unknown", nil, nil, nil)
      case .failed(let status, let why, let cure): ("failed", status, why, cure)
      }
    return .object([
      "check": .text(name), "what": .text(what), "outcome": .text(outcome), "status": JSON(status?.name),
      "why": JSON(why), "to_pass": JSON(cure),
    ])
  }
}
