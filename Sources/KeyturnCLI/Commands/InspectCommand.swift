import ArgumentParser
import Foundation

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Shows what a token says of itself, without believing any of it.",
    discussion: """
      Nothing is verified: anybody can write such a token. It shows all that is in the token but its signature; \
      mind who reads that.

        keyturn inspect < token
        keyturn inspect --json --token-file token

      Exit status: 0 shown, 1 not a token that can be read, 64 for a wrong command line.
      """)

  static let warning = "NOT VERIFIED: anybody can write a token that says this."

  @OptionGroup(title: "Token") var token: TokenArguments
  @Flag(help: "Write JSON.") var json = false

  func run() throws {
    try orComplain {
      let octets = try token.read()
      let letter = try Letter(octets)
      if json { Terminal.line(document(letter, octets).written()) } else { show(letter) }
    }
  }

  private func document(_ letter: Letter, _ octets: [UInt8]) -> JSON {
    .object([
      "verified": .flag(false), "warning": .text(InspectCommand.warning), "header": letter.header,
      "claims": letter.claims ?? .null, "signature_octets": .number(Int64(letter.signatureLength)),
      "token": .text("sha256:" + SHA256.hex(octets).prefix(16)),
    ])
  }

  private func show(_ letter: Letter) {
    Terminal.line(Terminal.coloured(InspectCommand.warning, .bad))
    Terminal.line("header " + letter.header.written(indent: 0))
    if let claims = letter.claims {
      Terminal.line("claims " + claims.written(indent: 0))
    } else {
      Terminal.line("payload of \(letter.payload.count) octets, which is no JSON")
    }
    for (name, what) in [("iat", "issued"), ("nbf", "valid from"), ("exp", "valid until")] {
      guard let date = letter.date(name) else { continue }
      let distance = date - Clock.now
      let told = distance > 0 ? "in \(Span.text(distance))" : "\(Span.text(distance)) ago"
      Terminal.line("\(name): says it is \(what) \(Moment.text(date)) (\(told))")
    }
    Terminal.line("signature of \(letter.signatureLength) octets, which nobody has looked at")
    Terminal.line(Terminal.coloured(InspectCommand.warning, .bad))
  }
}
