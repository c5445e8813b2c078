import ArgumentParser
import Foundation

struct AgentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent",
    abstract: "Fetches keys into a store, for all processes of this host that read it.",
    discussion: """
      Runs in the foreground until SIGTERM or SIGINT, and writes one line for each event to standard error. SIGHUP \
      reads the configuration again; one that has a mistake is told of, and the one before it stays in force.

      The configuration is JSON. Options have the names and the meaning that keyturn.h gives them:

        { "issuers": [ { "issuer": "https://login.example.com", "discovery": "openid" } ] }

      Exit status: 0 when it was told to end, 1 when it could not begin, 64 for a wrong command line.
      """)

  @Option(help: ArgumentHelp("The directory that gateways read keys from.", valueName: "directory"))
  var store: String

  @Option(help: ArgumentHelp("The issuers, and how their keys are fetched.", valueName: "file"))
  var config: String

  func run() throws {
    let signals = Signals()
    do throws(Complaint) {
      let agent = try Agent(store: store, configuration: config)
      agent.run(until: signals)
    } catch {
      Log.write(.error, "cannot begin", ["reason": error.description])
      throw ExitCode.failure
    }
  }
}
