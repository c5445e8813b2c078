import ArgumentParser
import CKeyturnAPI

@main
struct Keyturn: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keyturn",
    abstract: "Looks at tokens and keys, operates rotations, and fetches keys for gateways.",
    version: String(cString: keyturn_version()),
    subcommands: [
      VerifyCommand.self, InspectCommand.self, KeysCommand.self, LintCommand.self, ExplainCommand.self,
      RevokeCommand.self, UnrevokeCommand.self, StatusCommand.self, ExportCommand.self, ImportCommand.self,
      PlanCommand.self, RehearseCommand.self, CanaryCommand.self, AgentCommand.self,
    ])
}
