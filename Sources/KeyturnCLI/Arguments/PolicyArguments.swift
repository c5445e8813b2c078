import ArgumentParser
import CKeyturnAPI
import Foundation

/// What a token must be. The options have the names and the meaning that keyturn.h gives them.
struct PolicyArguments: ParsableArguments {
  @Option(help: ArgumentHelp("An audience that the token may be for; may be given again.", valueName: "name"))
  var audiences: [String] = []

  @Option(
    help: ArgumentHelp("An algorithm that it may be signed with; may be given again.", valueName: "name"))
  var algorithms: [String] = []

  @Option(help: ArgumentHelp("The typ that it must have, like at+jwt.", valueName: "typ"))
  var type: String?

  @Option(
    help: ArgumentHelp(
      #"A rule on a claim, like {"kind": "has_word", "claim": "scope", "values": ["read"]}; may be given again."#,
      valueName: "json"))
  var rules: [String] = []

  @Option(
    help: ArgumentHelp("Leeway for exp, nbf and iat in seconds, or off (default: 30).", valueName: "seconds"))
  var leewayS: String?

  @Option(help: ArgumentHelp("The most that exp - iat may be.", valueName: "seconds"))
  var maxLifetimeS: Int64 = 0

  @Flag(help: "Any iss will do.")
  var allowAnyIssuer = false

  @Flag(help: "Any aud will do.")
  var allowAnyAudience = false

  @Flag(help: "A token without exp will do.")
  var allowNoExpiry = false

  @Flag(help: "A token that is bound to a key (cnf) will do: somebody else checks that.")
  var hostConfirms = false

  @Option(help: ArgumentHelp("The longest token, in octets.", valueName: "octets"))
  var maxToken: UInt32 = 0
  @Option(help: ArgumentHelp("The longest kid, in octets.", valueName: "octets"))
  var maxKid: UInt32 = 0
  @Option(help: ArgumentHelp("The most members of the header.", valueName: "number"))
  var maxHeaderMembers: UInt32 = 0
  @Option(help: ArgumentHelp("The most members of the claims set.", valueName: "number"))
  var maxClaimsMembers: UInt32 = 0
  @Option(help: ArgumentHelp("The deepest nesting.", valueName: "number"))
  var maxNesting: UInt32 = 0

  @Option(
    help: ArgumentHelp("Judge as if it were this moment: Unix seconds, or ISO 8601.", valueName: "time"))
  var at: String?

  func validate() throws {
    guard allowAnyAudience || !audiences.isEmpty else {
      throw ValidationError("Say who the token is for: --audiences, or --allow-any-audience.")
    }
    guard at.map({ Moment.seconds($0) != nil }) ?? true else {
      throw ValidationError("--at: neither Unix seconds nor like 2026-11-21T10:00:00Z.")
    }
  }

  /// Nil: now.
  var moment: Int64? { at.flatMap(Moment.seconds) }

  func settings() throws(Complaint) -> PolicySettings {
    var settings = PolicySettings()
    settings.audiences = audiences
    for name in algorithms {
      let bit = jwt_algorithm_from_name(name, name.utf8.count)
      guard bit != 0 else { throw Complaint("algorithms: there is none of this name: \(name)") }
      settings.algorithms |= bit
    }
    settings.type = type
    settings.rules = try rules.enumerated().map { place, text throws(Complaint) in
      try PolicyRule(text, at: "rules[\(place)]")
    }
    settings.leeway = try leeway()
    settings.maxLifetime = maxLifetimeS
    settings.allowsAnyIssuer = allowAnyIssuer
    settings.allowsAnyAudience = allowAnyAudience
    settings.allowsNoExpiry = allowNoExpiry
    settings.isConfirmed = hostConfirms
    settings.bounds = [maxToken, maxKid, maxHeaderMembers, maxClaimsMembers, maxNesting]
    return settings
  }

  private func leeway() throws(Complaint) -> Int64 {
    switch leewayS {
    case nil: return 0
    case "off", "0": return Int64(KEYTURN_OFF)
    case let text?:
      guard let seconds = Int64(text) else {
        throw Complaint("leeway_s: neither a number of seconds nor off")
      }
      return seconds
    }
  }
}
