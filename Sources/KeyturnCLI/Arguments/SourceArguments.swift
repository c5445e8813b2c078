import ArgumentParser
import Foundation

/// Where keys come from. The options have the names and the meaning that keyturn.h gives them.
struct SourceArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The issuer's exact name, which is iss; found by discovery if nothing else is said.", valueName: "name")
  )
  var issuer: String?

  @Option(
    help: ArgumentHelp(
      "How its key set is found: openid (with a URL as issuer), oauth, none.", valueName: "how"))
  var discovery: String?

  @Option(name: .customLong("jwks-url"), help: ArgumentHelp("Where its JWK Set is.", valueName: "url"))
  var jwksURL: String?

  @Option(help: ArgumentHelp("A file with its JWK Set.", valueName: "path"))
  var file: String?

  @Option(
    help: ArgumentHelp(
      "An agent's configuration, from which the issuer's options are taken.", valueName: "file"))
  var config: String?

  @Flag(help: "Take http URLs too: whoever is on the way can then forge keys.")
  var allowHTTP = false

  @Option(
    help: ArgumentHelp("PEM file of the authorities that its certificate may be from.", valueName: "path"))
  var caFile: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "Any other option of jwks_issuer_options; may be given again.", valueName: "name=value"))
  var more: [String] = []

  /// What is meant when nothing is said of the issuer's name.
  static let nameless = "keyturn"

  func validate() throws {
    guard issuer != nil || jwksURL != nil || file != nil else {
      throw ValidationError("Say where the keys are: --issuer, --jwks-url or --file.")
    }
    guard config == nil || issuer != nil else { throw ValidationError("--config needs --issuer.") }
  }

  func settings() throws(Complaint) -> IssuerSettings {
    var values = try configured()
    values["issuer"] = .text(issuer ?? SourceArguments.nameless)
    for (name, value) in [
      ("jwks_url", jwksURL), ("file", file), ("discovery", discovery), ("ca_file", caFile),
    ] {
      if let value { values[name] = .text(value) }
    }
    if allowHTTP { values["allow_http"] = .flag(true) }
    for option in more { try add(option, to: &values) }
    let hasSource = ["jwks_url", "file", "discovery"].contains { values[$0] != nil }
    if !hasSource { values["discovery"] = .text("openid") }
    return try IssuerSettings(.object(values), at: "options")
  }

  private func configured() throws(Complaint) -> [String: JSON] {
    guard let config, let issuer else { return [:] }
    let document = try JSON.read(config)
    guard let found = document["issuers"]?.elements?.first(where: { $0["issuer"]?.text == issuer }) else {
      throw Complaint("\(config): there is no issuer of that name")
    }
    return found.members ?? [:]
  }

  private func add(_ option: String, to values: inout [String: JSON]) throws(Complaint) {
    let parts = option.split(separator: "=", maxSplits: 1)
    guard parts.count == 2 else { throw Complaint("--set \(option): not name=value") }
    let value = String(parts[1])
    values[String(parts[0])] = (try? JSON.parse(Data(value.utf8), from: "")) ?? .text(value)
  }
}
