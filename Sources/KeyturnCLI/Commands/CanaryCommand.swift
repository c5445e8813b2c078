import ArgumentParser
import Foundation

struct CanaryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "canary",
    abstract: "Proves that gateways trust a new key, or no longer trust an old one.",
    discussion: """
      Asks each gateway, on a new connection each time, until all of its workers have answered as expected, or the time \
      is over; and tells who has not converged, and why. One other answer makes a gateway count anew. What it proves:

      --by token (a protected URL): a 2xx is the gateway's own verdict, its policy included, and 401 that it refuses the \
      token, not why: so use a token that is accepted before. Workers do not tell who they are, so that enough \
      answers in a row (--answers) make it likely, no more, that each was asked. Where the protected URL is the page of \
      keys, those that accept it are known, and counted.

      --by keys (in nginx: keyturn_keys): each worker says who it is, and which keys it has in force and not \
      revoked. All --workers of them are proven to have the key, or not to; what else a policy wants is not tried.

      --by metrics (in nginx: keyturn_metrics per_key): as one worker sees its keys, which does not say who it is. \
      Revocations are not seen there.

        keyturn canary --token-file new.token https://gw1.example.com/orders https://gw2.example.com/orders
        keyturn canary --by keys --workers 4 --token-file new.token https://gw1.example.com/keys
        keyturn canary --by keys --workers 4 --issuer https://login.example.com --kid 2026-06 --expect refused \
      --gateways gateways.txt --timeout 5m

      A URL is that of one gateway, not of a balancer before many. The token is sent to it and shown as a digest.

      Exit status: 0 all have converged, 2 not all, 1 it could not be done, 64 for a wrong command line.
      """)

  @Argument(help: ArgumentHelp("The gateways.", valueName: "url")) var urls: [String] = []
  @Option(help: ArgumentHelp("A file with more of them, a line each.", valueName: "path")) var gateways:
    String?
  @Option(help: ArgumentHelp("What the URLs are: token, keys, metrics.", valueName: "what"))
  var by = Evidence.token
  @Option(help: ArgumentHelp("accepted or refused.", valueName: "verdict")) var expect = Expectation.accepted
  @Option(help: ArgumentHelp("A token that the key has signed; - is standard input.", valueName: "path"))
  var tokenFile: String?
  @Option(help: ArgumentHelp("Whose key it is (default: the token's iss).", valueName: "name"))
  var issuer: String?
  @Option(help: ArgumentHelp("The key (default: the token's kid).", valueName: "kid")) var kid: String?
  @Option(help: ArgumentHelp("How many each gateway has.", valueName: "number")) var workers = 1
  @Option(
    help: ArgumentHelp(
      "In a row, where they do not say who they are (default: 32 for each worker; 1 for a single one).",
      valueName: "number"))
  var answers: Int?
  @Option(
    help: ArgumentHelp("How long they are asked; the last answers may take 5 s more.", valueName: "time"))
  var timeout = Seconds(60)
  @Flag(help: "Take http URLs too: whoever is on the way then has the token.") var allowHTTP = false
  @Option(
    help: ArgumentHelp("PEM file of the authorities that certificates may be from.", valueName: "path"))
  var caFile: String?
  @Flag(help: "Write JSON.") var json = false

  func validate() throws {
    guard !urls.isEmpty || gateways != nil else { throw ValidationError("Name gateways, or --gateways.") }
    guard 1...1_024 ~= workers else { throw ValidationError("--workers: 1 to 1024.") }
    guard 1...100_000 ~= answers ?? 1 else { throw ValidationError("--answers: 1 to 100000.") }
    guard 1...86_400 ~= timeout.count else { throw ValidationError("--timeout: 1s to 1d.") }
    guard tokenFile != nil || by != .token && issuer != nil && kid != nil else {
      throw ValidationError(
        by == .token
          ? "--by token needs --token-file." : "Say which key: --token-file, or --issuer and --kid.")
    }
  }

  func run() throws {
    try orComplain {
      let token = try tokenFile.map(CanaryToken.init)
      let asked = try asked()
      let question = CanaryQuestion(
        expected: expect, evidence: by, issuer: issuer ?? token?.issuer ?? "", kid: kid ?? token?.kid ?? "")
      if by != .token, question.issuer.isEmpty || question.kid.isEmpty {
        throw Complaint("the token has no iss or no kid: give --issuer and --kid")
      }
      let options = Visit.Options(
        token: by == .token ? token?.text : nil, allowHTTP: allowHTTP, caFile: caFile)
      try Terminal.whileSaying("asking \(asked.count) gateway(s)") { try ask(asked, question, options) }
      show(asked, question, token)
      if !asked.allSatisfy(\.hasConverged) { throw Exit.refused }
    }
  }

  private func asked() throws(Complaint) -> [CanaryGateway] {
    var all = urls
    if let gateways {
      let lines = String(decoding: try File.read(gateways), as: UTF8.self).split(whereSeparator: \.isNewline)
      all += lines.map { $0.trimmingCharacters(in: .whitespaces) }.filter {
        !$0.isEmpty && !$0.hasPrefix("#")
      }
    }
    guard 1...256 ~= all.count else { throw Complaint("\(all.count) gateways: 1 to 256 can be asked") }
    let needed = CanaryGateway.Needed(workers: workers, answers: answers ?? (workers == 1 ? 1 : 32 * workers))
    for url in all {
      let scheme = url.prefix { $0 != ":" }.lowercased()
      guard scheme == "https" || scheme == "http" && allowHTTP else {
        throw Complaint("\(url): not an https URL\(scheme == "http" ? "; see --allow-http" : "")")
      }
    }
    return all.map { CanaryGateway($0, needed) }
  }

  /// Each in a thread, so that one that hangs keeps nobody waiting.
  private func ask(_ gateways: [CanaryGateway], _ question: CanaryQuestion, _ options: Visit.Options) throws {
    let end = Date(timeIntervalSinceNow: Double(timeout.count))
    let failures = Failures()
    let group = DispatchGroup()
    for gateway in gateways {
      group.enter()
      Thread.detachNewThread {
        do throws(Complaint) { try gateway.ask(question, options, until: end) } catch { failures.add(error) }
        group.leave()
      }
    }
    group.wait()
    if let first = failures.first { throw first }
  }

  private func show(_ gateways: [CanaryGateway], _ question: CanaryQuestion, _ token: CanaryToken?) {
    guard !json else {
      let kid: JSON = question.kid.isEmpty ? .null : .text(question.kid)
      return Terminal.line(
        JSON.object([
          "converged": .flag(gateways.allSatisfy(\.hasConverged)), "by": .text(by.rawValue),
          "expect": .text(expect.rawValue), "kid": kid, "token": JSON(token.map { Digest.short($0.text) }),
          "gateways": .list(gateways.map(\.json)),
        ]).written())
    }
    let what = by == .token ? token.map { Digest.short($0.text) } : nil
    Terminal.line("\(what ?? "key \(Terminal.safe(question.kid))") is to be \(expect.rawValue)")
    for gateway in gateways { Terminal.line(gateway.line) }
  }
}

/// The token that gateways are asked with. It is not verified here: that is theirs.
private struct CanaryToken {
  let text: String
  let issuer: String?
  let kid: String?

  init(_ path: String) throws(Complaint) {
    let octets = try TokenArguments.read(path)
    let letter = try Letter(octets)
    if let end = letter.date("exp"), end <= Clock.now {
      throw Complaint("the token has expired: whoever signed it, it would be refused")
    }
    text = String(decoding: octets, as: UTF8.self)
    issuer = letter.claims?["iss"]?.text
    kid = letter.header["kid"]?.text
  }
}

/// What kept threads from asking.
private final class Failures: @unchecked Sendable {
  private let lock = NSLock()
  private var all: [Complaint] = []

  var first: Complaint? { lock.withLock { all.first } }
  func add(_ complaint: Complaint) { lock.withLock { all.append(complaint) } }
}
