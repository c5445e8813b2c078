import ArgumentParser
import CKeyturnAPI

@main
struct Keyturn: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keyturn",
    abstract: "Keeps the keys of token issuers for gateways.",
    version: String(cString: keyturn_version()),
    subcommands: [AgentCommand.self])
}
