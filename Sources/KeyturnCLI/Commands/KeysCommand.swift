import ArgumentParser
import CKeyturnAPI
import Foundation

struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys",
    abstract: "Shows the keys that an issuer publishes now.",
    discussion: """
      A line for each key: kid, type, size, RFC 7638 thumbprint and the algorithms that it serves; or why it is not \
      used. With --watch the issuer is asked again and again, and a line tells of each key that comes (+) or goes (-), \
      until the command is interrupted.

        keyturn keys --issuer https://login.example.com
        keyturn keys --file keys.json --json
        keyturn keys --jwks-url https://login.example.com/jwks --watch --interval 30

      Exit status: 0 shown, 1 the keys could not be had, 64 for a wrong command line.
      """)

  @OptionGroup(title: "Keys") var source: SourceArguments
  @Flag(help: "Go on, and tell of each change.") var watch = false
  @Option(help: ArgumentHelp("How often the issuer is asked.", valueName: "seconds")) var interval = 15
  @Flag(help: "Write JSON: with --watch a line for each change.") var json = false

  func validate() throws {
    guard 1...3_600 ~= interval else { throw ValidationError("--interval: 1 to 3600 seconds.") }
  }

  func run() throws {
    try orComplain {
      let settings = try source.settings().with("operator_interval_ms", .number(500))
      let bench = try Bench(settings.isFetched ? settings : source.settings())
      let set = try Terminal.whileSaying("asking the issuer") { try KeySet(bench) }
      show(set)
      if watch { try follow(bench, from: set) }
    }
  }

  private func show(_ set: KeySet) {
    guard !json || watch else {
      return Terminal.line(JSON.object(["keys": .list(set.keys.map(set.json))]).written())
    }
    if json {
      for key in set.keys { tell(key, of: set, "published") }
    } else {
      Terminal.line(Terminal.coloured(KeySet.head, .strong))
      for key in set.keys { Terminal.line(set.line(key)) }
    }
  }

  /// A failure is told, and is no end.
  private func follow(_ bench: Bench, from first: KeySet) throws {
    var known = first
    while true {
      sleep(UInt32(interval))
      if bench.settings.isFetched { _ = jwks_issuer_refresh(bench.issuer.issuer) }
      do throws(Complaint) {
        let found = try bench.settings.isFetched ? KeySet(bench) : KeySet(Bench(bench.settings))
        for key in found.keys where !known.keys.contains(key) { tell(key, of: found, "came") }
        for key in known.keys where !found.keys.contains(key) { tell(key, of: known, "went") }
        known = found
      } catch { Terminal.complain(error.description) }
    }
  }

  private func tell(_ key: PublishedKey, of set: KeySet, _ what: String) {
    let time = Moment.text(Clock.now)
    if json {
      let members = set.json(key).members ?? [:]
      Terminal.line(
        JSON.object(members.merging(["event": .text(what), "time": .text(time)]) { $1 }).written())
    } else {
      let sign = what == "came" ? Terminal.coloured("+", .good) : Terminal.coloured("-", .bad)
      Terminal.line("\(time) \(sign) \(set.line(key))")
    }
  }
}
