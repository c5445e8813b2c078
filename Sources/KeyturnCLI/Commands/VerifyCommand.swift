import ArgumentParser
import CKeyturnAPI
import Foundation

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Says whether a token is genuine and allowed, and why not.",
    discussion: """
      The verdict is the library's own, the one that a gateway with these options gives. The token itself is not \
      shown; what stands for it is a digest.

        keyturn verify --issuer https://login.example.com --audiences orders < token
        keyturn verify --issuer https://login.example.com --file keys.json --audiences orders --token-file token
        keyturn verify --jwks-url https://login.example.com/jwks --allow-any-issuer --allow-any-audience --json < token

      Exit status: 0 accepted, 2 refused, 3 no verdict because the keys are not at hand, 1 it could not be done, \
      64 for a wrong command line.
      """)

  @OptionGroup(title: "Token") var token: TokenArguments
  @OptionGroup(title: "Keys") var source: SourceArguments
  @OptionGroup(title: "Policy") var policy: PolicyArguments
  @Flag(help: "Show the claims of a token that is accepted.") var claims = false
  @Flag(help: "Write JSON.") var json = false

  func validate() throws {
    guard source.issuer != nil || policy.allowAnyIssuer else {
      throw ValidationError("Say whose token it must be: --issuer, or --allow-any-issuer.")
    }
  }

  func run() throws {
    try orComplain {
      let bench = try Bench(source.settings(), clock: policy.moment.map(Clock.init(at:)))
      let octets = try token.read()
      let made = try policy.settings().policy(bench.cache, bench.issuer)
      let verification = try Terminal.whileSaying("asking the issuer") { try bench.verify(octets, by: made) }
      let verdict = Verdict(verification, octets, bench, now: policy.moment ?? Clock.now)
      Terminal.line(json ? verdict.json(withClaims: claims) : verdict.line)
      if claims, !json, let shown = verdict.claims { Terminal.line(shown.written(indent: 0)) }
      if let exit = verdict.exit { throw exit }
    }
  }
}

/// A verification, told.
struct Verdict {
  private let verification: Verification
  private let digest: String
  private let why: String
  private let now: Int64

  init(_ verification: Verification, _ token: [UInt8], _ bench: Bench, now: Int64) {
    self.verification = verification
    self.now = now
    digest = "sha256:" + SHA256.hex(token).prefix(16)
    let detail = verification.detail.isEmpty ? "" : " (\(verification.detail))"
    why =
      verification.isWithoutKeys
      ? "The issuer's keys are not at hand: \(bench.whyNone)." : verification.status.sentence + detail
  }

  /// Nil: accepted.
  var exit: ExitCode? {
    verification.status == JWT_OK ? nil : verification.isWithoutKeys ? Exit.noVerdict : Exit.refused
  }

  var line: String {
    guard verification.status == JWT_OK else {
      let (word, colour): (String, Terminal.Colour) =
        verification.isWithoutKeys ? ("no verdict", .doubtful) : ("refused", .bad)
      return
        "\(Terminal.coloured(word, colour)) \(digest): \(verification.status.name): \(Terminal.safe(why))"
    }
    let kid = verification.kid.isEmpty ? "without kid" : Terminal.safe(verification.kid)
    let end = verification.expiry.map { "expires in \(Span.text($0 - now))" } ?? "never expires"
    return "\(Terminal.coloured("accepted", .good)) \(digest): signed by key \(kid) of "
      + "\(Terminal.safe(verification.issuer)) (\(verification.algorithm)), \(end)"
  }

  var claims: JSON? {
    guard verification.status == JWT_OK else { return nil }
    return try? JSON.parse(Data(verification.payload), from: "claims")
  }

  func json(withClaims: Bool) -> String {
    let isAccepted = verification.status == JWT_OK
    var told: [String: JSON] = [
      "verdict": .text(isAccepted ? "accepted" : verification.isWithoutKeys ? "none" : "refused"),
      "status": .text(verification.status.name), "code": .number(Int64(verification.status.rawValue)),
      "http": .number(Int64(jwt_status_http(verification.status))), "why": .text(why),
      "about": .text(verification.detail), "token": .text(digest),
    ]
    if isAccepted {
      told["key"] = .object([
        "kid": .text(verification.kid), "thumbprint": .text(verification.thumbprint),
        "algorithm": .text(verification.algorithm), "issuer": .text(verification.issuer),
      ])
      told["expires"] = JSON(verification.expiry)
    }
    if withClaims, let claims { told["claims"] = claims }
    return JSON.object(told).written()
  }
}
