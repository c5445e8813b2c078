import ArgumentParser
import CKeyturnAPI

struct RevokeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Has running gateways refuse a key or tokens, within a second.",
    discussion: """
      It is written into the store that the gateways share, and is durable when the command returns. It survives \
      restarts, and an issuer that publishes the key again does not bring it back.

        keyturn revoke --store /var/lib/keyturn --issuer https://login.example.com --kid 2026-11
        keyturn revoke --store /var/lib/keyturn --issuer https://login.example.com --issued-before now --until 2d

      Run it as the user who owns the store, so that the gateways believe what it writes.

      Exit status: 0 revoked, 1 it could not be done or is not durable, 64 for a wrong command line.
      """)

  @OptionGroup var store: StoreArguments
  @Option(help: ArgumentHelp("The issuer's exact name.", valueName: "name")) var issuer: String
  @OptionGroup(title: "What") var what: RevocationArguments
  @Option(help: ArgumentHelp("When it is over: a time, or like 2d from now.", valueName: "time")) var until:
    String?

  private var end: Int64? {
    until.flatMap { text in
      Span.seconds(text).map { $0 > 1 << 30 ? $0 : Clock.now + $0 } ?? Moment.seconds(text)
    }
  }

  func validate() throws {
    guard until == nil || end != nil else {
      throw ValidationError(
        "--until: neither a time like 2026-11-21T10:00:00Z nor a span like 90m, 2h or 3d.")
    }
  }

  func run() throws {
    try orComplain {
      let handle = try store.place.issuer(named: issuer)
      let revocation = what.revocation(until: end ?? 0)
      try revocation.call(handle) { jwks_cache_revoke(handle.cache.cache, $0, &$1) }
      Terminal.line("revoked \(revocation.line)")
    }
  }
}

struct UnrevokeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unrevoke",
    abstract: "Takes a revocation back.",
    discussion: """
      Exactly the one that was made: of the same kind and value.

        keyturn unrevoke --store /var/lib/keyturn --issuer https://login.example.com --kid 2026-11

      Exit status: 0 taken back, 1 it could not be done, 2 there is no such revocation, 64 for a wrong command line.
      """)

  @OptionGroup var store: StoreArguments
  @Option(help: ArgumentHelp("The issuer's exact name.", valueName: "name")) var issuer: String
  @OptionGroup(title: "What") var what: RevocationArguments

  func run() throws {
    try orComplain {
      let handle = try store.place.issuer(named: issuer)
      let revocation = what.revocation()
      var status = JWT_OK
      do throws(Complaint) {
        try revocation.call(handle) { revocation, error in
          status = jwks_cache_unrevoke(handle.cache.cache, revocation, &error)
          return status
        }
      } catch {
        guard status == JWKS_NOT_FOUND else { throw error }
        Terminal.complain("\(issuer): it is not revoked: \(revocation.line)")
        throw Exit.refused
      }
      Terminal.line("revoked no more: \(revocation.line)")
    }
  }
}

extension Revocation {
  var line: String {
    let end = until == 0 ? "for good" : "until \(Moment.text(until))"
    return "\(kind.rawValue) \(Terminal.safe(shown)) \(end)"
  }

  var json: JSON {
    .object([
      "kind": .text(kind.rawValue), "value": .text(shown), "until": until == 0 ? .null : .number(until),
    ])
  }
}
