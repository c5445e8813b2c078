import ArgumentParser
import CKeyturnAPI

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Shows what a store holds of an issuer: its keys, their age, and what is revoked.",
    discussion: """
      Nothing is fetched, and nothing is changed. The keys are shown as a gateway with the same options takes them \
      over: so give those of the gateways, most easily by --config. Subjects and jtis are shown as digests.

        keyturn status --store /var/lib/keyturn --issuer https://login.example.com
        keyturn status --store /var/lib/keyturn --config /etc/keyturn/agent.json --issuer https://login.example.com --json

      Exit status: 0 shown, 1 the store cannot be read, 3 it has no keys that are served, 64 for a wrong command line.
      """)

  @OptionGroup var store: StoreArguments
  @OptionGroup(title: "Keys") var source: SourceArguments
  @Flag(help: "Write JSON.") var json = false

  func run() throws {
    try orComplain {
      let settings = try source.settings()
      let issuer = try store.place.cache().add(settings)
      let standing = Standing(issuer)
      if json { Terminal.line(standing.json.written()) } else { standing.show(settings.issuer) }
      if !standing.isServed { throw Exit.noVerdict }
    }
  }
}

/// How an issuer stands in a store.
private struct Standing {
  let stats: jwks_issuer_stats
  let keys: [PublishedKey]
  let revocations: [Revocation]
  let isServed: Bool

  init(_ issuer: IssuerHandle) {
    stats = issuer.stats
    keys = issuer.keys ?? []
    revocations = issuer.revocations
    isServed = jwks_issuer_ready(issuer.issuer) == JWT_OK
  }

  private var digest: String? {
    guard stats.generation > 0 else { return nil }
    var stats = stats
    return withUnsafeBytes(of: &stats.set_digest) { octets in
      octets.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
  }

  private var state: String {
    switch stats.state {
    case JWKS_ISSUER_FRESH: "fresh"
    case JWKS_ISSUER_STALE: "stale"
    case JWKS_ISSUER_EXPIRED: "expired"
    case JWKS_ISSUER_PINNED: "pinned"
    default: "empty"
    }
  }

  func show(_ name: String) {
    let word =
      isServed ? Terminal.coloured(state, .good) : Terminal.coloured("\(state): nothing is served", .bad)
    Terminal.line("\(Terminal.safe(name)): \(word)")
    if stats.age_ms >= 0 { Terminal.line("confirmed \(Span.text(stats.age_ms / 1_000)) ago") }
    if stats.served_ms >= 0, stats.served_ms < .max {
      Terminal.line("served for \(Span.text(stats.served_ms / 1_000)) still")
    }
    if let digest { Terminal.line("digest \(digest)") }
    for key in keys { Terminal.line(line(key)) }
    Terminal.line(revocations.isEmpty ? "nothing is revoked" : "revoked:")
    for revocation in revocations { Terminal.line("  \(revocation.line)") }
  }

  private func line(_ key: PublishedKey) -> String {
    let kid = key.kid.isEmpty ? "(no kid)" : Terminal.safe(key.kid)
    let fault = key.whyNot.map { " not used: \($0)" } ?? (key.isRevoked ? " REVOKED" : "")
    return "key \(kid) \(key.thumbprint) \(key.algorithms.joined(separator: ","))"
      + Terminal.coloured(fault, .bad)
  }

  var json: JSON {
    .object([
      "state": .text(state), "served": .flag(isServed),
      "age_seconds": stats.age_ms < 0 ? .null : .number(stats.age_ms / 1_000),
      "served_seconds": stats.served_ms < 0 || stats.served_ms == .max
        ? .null : .number(stats.served_ms / 1_000),
      "digest": JSON(digest), "revocations": .list(revocations.map(\.json)),
      "keys": .list(
        keys.map { key in
          .object([
            "kid": .text(key.kid), "thumbprint": .text(key.thumbprint), "usable": .flag(key.isUsable),
            "revoked": .flag(key.isRevoked), "algorithms": .list(key.algorithms.map { .text($0) }),
          ])
        }),
    ])
  }
}
