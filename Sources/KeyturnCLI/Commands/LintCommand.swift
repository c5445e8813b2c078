import ArgumentParser
import CKeyturnAPI
import Foundation

struct LintCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lint",
    abstract: "Judges a JWK Set, or how an issuer publishes it.",
    discussion: """
      By the RFCs, and by what makes rotations go well: weak keys, private keys, kids that are missing or twice, only \
      one key, cache headers that are too long or too short. With --before it is held against an earlier set: do they \
      overlap, and is a kid used again?

        keyturn lint --issuer https://login.example.com
        keyturn lint --file keys.json --before keys.old.json --strict

      Exit status: 0 no error found, 2 errors found (with --strict warnings too), 1 it could not be looked at, 64 for \
      a wrong command line.
      """)

  @OptionGroup(title: "Keys") var source: SourceArguments
  @Option(help: ArgumentHelp("A file with an earlier JWK Set of the issuer.", valueName: "path")) var before:
    String?
  @Flag(help: "Warnings count as errors.") var strict = false
  @Flag(help: "Write JSON.") var json = false

  func run() throws {
    try orComplain {
      let settings = try source.settings()
      let findings = try Terminal.whileSaying("asking the issuer") { try judge(settings) }
        .sorted { $0.severity.rank < $1.severity.rank }
      if json { Terminal.line(JSON.list(findings.map(\.json)).written()) } else { show(findings) }
      let worst: [Finding.Severity] = strict ? [.error, .warning] : [.error]
      if findings.contains(where: { worst.contains($0.severity) }) { throw Exit.refused }
    }
  }

  private func judge(_ settings: IssuerSettings) throws -> [Finding] {
    guard settings.isFetched else { return try judge(File.read(settings["file"]?.text ?? "-")) }
    let bench = try Bench(settings)
    try bench.fetch()
    guard let answer = bench.published else {
      throw Complaint("\(settings.issuer): no keys: \(bench.whyNone)")
    }
    let isSigned = settings["signed_by"] != nil
    let found = isSigned ? try judge(KeySet(bench).keys, nil) : try judge(answer.body)
    return AnswerLint(answer).findings + found
  }

  /// What the library refuses whole is one finding.
  private func judge(_ document: Data) throws -> [Finding] {
    do throws(Complaint) {
      return try judge(LintCommand.keys(document), try? JSON.parse(document, from: ""))
    } catch {
      return [Finding(.error, "no-key-set", Terminal.safe(error.description), "RFC 7517 section 5")]
    }
  }

  private func judge(_ keys: [PublishedKey], _ document: JSON?) throws(Complaint) -> [Finding] {
    var found = SetLint(keys, document).findings
    if let before { found += SetLint.overlap(keys, since: try LintCommand.keys(File.read(before))) }
    return found
  }

  private static func keys(_ document: Data) throws(Complaint) -> [PublishedKey] {
    let issuer = try CacheHandle().add(IssuerSettings(.object(["issuer": .text("lint")]), at: "options"))
    try issuer.load(Array(document))
    return issuer.keys ?? []
  }

  private func show(_ findings: [Finding]) {
    for finding in findings { Terminal.line(finding.line) }
    let counts = Finding.Severity.allCases.map { severity in
      let count = findings.count { $0.severity == severity }
      return "\(count) \(severity.rawValue)\(count == 1 ? "" : "s")"
    }
    Terminal.line(counts.joined(separator: ", "))
  }
}

extension Finding.Severity {
  fileprivate var rank: Int { Finding.Severity.allCases.firstIndex(of: self) ?? 0 }

  fileprivate var colour: Terminal.Colour {
    switch self {
    case .error: .bad
    case .warning: .doubtful
    case .note: .quiet
    }
  }
}

extension Finding {
  fileprivate var line: String {
    let parts = [
      Terminal.coloured(severity.rawValue.padded(8), severity.colour), rule.padded(18),
      place.isEmpty ? "" : Terminal.safe(place) + ":", sentence, source.isEmpty ? "" : "(\(source))",
    ]
    return parts.filter { !$0.isEmpty }.joined(separator: " ")
  }

  fileprivate var json: JSON {
    .object([
      "severity": .text(severity.rawValue), "rule": .text(rule), "place": .text(place),
      "sentence": .text(sentence),
      "source": .text(source),
    ])
  }
}
