import ArgumentParser
import CKeyturnAPI
import Foundation

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Fetches an issuer's keys into a file, for gateways that cannot.",
    discussion: """
      The file holds the issuer's answers as they came, when that was, and with --store what is revoked there. It holds \
      no secret, but whoever can change it on its way can forge tokens: compare the digest that is printed with \
      the one that import prints.

        keyturn export --issuer https://login.example.com --output login.bundle

      Exit status: 0 written, 1 it could not be done, 64 for a wrong command line.
      """)

  @OptionGroup(title: "Keys") var source: SourceArguments
  @Option(help: ArgumentHelp("The file to write; - is standard output.", valueName: "path")) var output:
    String
  @Option(help: ArgumentHelp("A store directory whose revocations go along.", valueName: "directory"))
  var store: String?

  func run() throws {
    try orComplain {
      let settings = try source.settings()
      guard settings.isFetched else { throw Complaint("a file needs no bundle: give --issuer or --jwks-url") }
      let (bench, began) = (try Bench(settings), Clock.now)
      let keys = try Terminal.whileSaying("asking the issuer") { try KeySet(bench) }.keys.filter(\.isUsable)
      let bundle = KeyBundle(bench, fetched: began, revocations: try revocations(settings.issuer))
      let text = bundle.json.written()
      try File.write(text, to: output)
      guard output != "-" else { return }
      Terminal.line(
        "\(keys.count) keys of \(Terminal.safe(settings.issuer)), \(bundle.revocations.count) revocations")
      Terminal.line("sha256:\(SHA256.hex(Array((text + "\n").utf8)))")
    }
  }

  private func revocations(_ issuer: String) throws -> [Revocation] {
    guard let store else { return [] }
    return try Store(path: store).issuer(named: issuer).revocations
  }
}

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Puts a bundle of keyturn export into the store of running gateways.",
    discussion: """
      The answers in it are judged as if they had come by network at the time when they were fetched: their age counts, \
      up to the hard limit. Gateways that have the issuer, with this store, serve the keys within a second. \
      The issuer's options must be those of the gateways. Revocations in it are made, and none is taken back.

        keyturn import --store /var/lib/keyturn --issuer https://login.example.com login.bundle

      Run it as the user who owns the store, so that the gateways believe what it writes.

      Exit status: 0 in the store, 1 it could not be done, 2 the keys are refused: damaged, too old, or older than those \
      in the store, 64 for a wrong command line.
      """)

  @OptionGroup var store: StoreArguments
  @OptionGroup(title: "Keys") var source: SourceArguments
  @Argument(help: "The file; - is standard input.") var bundle: String

  func run() throws {
    try orComplain {
      let settings = try source.settings()
      let octets = try File.read(bundle)
      let found = try read(octets)
      guard found.issuer == settings.issuer else {
        throw Complaint("\(bundle): it is of another issuer: \(found.issuer)")
      }
      try put(found, settings)
      let keys = try serving(settings)
      Terminal.line(
        "\(keys.count) keys of \(Terminal.safe(settings.issuer)), fetched \(Span.text(Clock.now - found.fetched)) ago, "
          + "\(found.revocations.count) revocations")
      Terminal.line("sha256:\(SHA256.hex(Array(octets)))")
    }
  }

  private func read(_ octets: Data) throws(Complaint) -> KeyBundle {
    do throws(Complaint) { return try KeyBundle(JSON.parse(octets, from: bundle)) } catch {
      throw Complaint(error.description.hasPrefix(bundle) ? error.description : "\(bundle): \(error)")
    }
  }

  /// On clocks that stand where they stood when it was fetched.
  private func put(_ found: KeyBundle, _ settings: IssuerSettings) throws {
    let age = Clock.now - found.fetched
    guard age >= -60 else {
      throw Complaint("\(bundle): it comes from the future: \(Moment.text(found.fetched))")
    }
    let stored = try store.place.cache().add(settings).stats.age_ms
    guard stored < 0 || stored / 1_000 >= age - 1 else {
      Terminal.complain("\(bundle): the keys are refused: those in the store are newer")
      throw Exit.refused
    }
    let replayed = ReplayingFetcher(found.answers)
    let cache = try store.place.cache(fetcher: replayed, clock: Clock(secondsAgo: max(0, age)))
    let issuer = try cache.add(settings)
    let before = issuer.stats.fetches
    _ = jwks_issuer_refresh(issuer.issuer)
    try cache.poll(for: 20) { issuer.stats.fetches > before }
    guard issuer.stats.failures == 0, issuer.stats.generation > 0 else {
      Terminal.complain("\(bundle): the keys are refused: \(issuer.stats.last_failure.reason)")
      throw Exit.refused
    }
    for revocation in found.revocations where revocation.until == 0 || revocation.until > Clock.now {
      try revocation.call(issuer) { jwks_cache_revoke(cache.cache, $0, &$1) }
    }
  }

  /// What a gateway of this store now has.
  private func serving(_ settings: IssuerSettings) throws -> [PublishedKey] {
    let issuer = try store.place.cache().add(settings)
    guard jwks_issuer_ready(issuer.issuer) == JWT_OK else {
      Terminal.complain(
        "\(bundle): the keys are refused: they are older than the hard limit, or could not be stored")
      throw Exit.refused
    }
    return (issuer.keys ?? []).filter(\.isUsable)
  }
}
