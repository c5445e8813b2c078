import CKeyturnAPI
import Foundation

/// The options of a policy.
struct PolicySettings {
  var audiences: [String] = []
  var algorithms: UInt64 = 0
  var type: String?
  var rules: [PolicyRule] = []
  var leeway: Int64 = 0
  var maxLifetime: Int64 = 0
  var allowsAnyIssuer = false
  var allowsAnyAudience = false
  var allowsNoExpiry = false
  var isConfirmed = false
  /// Token, kid, header members, claims members, nesting.
  var bounds: [UInt32] = [0, 0, 0, 0, 0]

  /// What 0 stands for.
  var effectiveLeeway: Int64 { leeway == 0 ? 30 : max(0, leeway) }

  func policy(_ cache: CacheHandle, _ issuer: IssuerHandle) throws(Complaint) -> PolicyHandle {
    let texts = Texts()
    var options = jwt_policy_options()
    options.size = MemoryLayout<jwt_policy_options>.size
    options.audiences = texts.keep(audiences)
    options.audience_count = audiences.count
    options.algorithms = algorithms
    options.type = type.flatMap(texts.keep)
    options.leeway_s = leeway
    options.max_lifetime_s = maxLifetime
    options.allow_any_issuer = allowsAnyIssuer ? 1 : 0
    options.allow_any_audience = allowsAnyAudience ? 1 : 0
    options.allow_no_expiry = allowsNoExpiry ? 1 : 0
    options.host_confirms = isConfirmed ? 1 : 0
    (options.max_token, options.max_kid) = (bounds[0], bounds[1])
    (options.max_header_members, options.max_claims_members) = (bounds[2], bounds[3])
    options.max_nesting = bounds[4]
    var policy: OpaquePointer?
    let issuers: [OpaquePointer?] = [issuer.issuer]
    let rules = rules.map { $0.made(texts) }
    try Complaint.unlessDone { error in
      issuers.withUnsafeBufferPointer { issuers in
        rules.withUnsafeBufferPointer { rules in
          (options.issuers, options.issuer_count) = (issuers.baseAddress, 1)
          (options.rules, options.rule_count) = (rules.isEmpty ? nil : rules.baseAddress, rules.count)
          return withExtendedLifetime(texts) { jwt_policy_new(cache.cache, &options, &policy, &error) }
        }
      }
    }
    guard let policy else { throw Complaint("jwt_policy_new: no policy") }
    return PolicyHandle(policy, of: cache)
  }
}

/// A rule on a claim, as JSON says it.
struct PolicyRule {
  let kind: jwt_rule_kind
  let claim: String
  let values: [String]

  private static let kinds: [String: jwt_rule_kind] = [
    "present": JWT_RULE_PRESENT, "equals": JWT_RULE_EQUALS, "one_of": JWT_RULE_ONE_OF,
    "prefix": JWT_RULE_PREFIX, "contains": JWT_RULE_CONTAINS, "has_word": JWT_RULE_HAS_WORD,
    "spiffe_trust_domain": JWT_RULE_SPIFFE_TRUST_DOMAIN,
  ]

  init(_ text: String, at place: String) throws(Complaint) {
    let document = try JSON.parse(Data(text.utf8), from: place)
    for name in document.members?.keys.sorted() ?? [] where !["kind", "claim", "values"].contains(name) {
      throw Complaint("\(place).\(name): no such option; there are \"kind\", \"claim\" and \"values\"")
    }
    guard let claim = document["claim"]?.text else { throw Complaint("\(place).claim: required: a text") }
    guard let kind = PolicyRule.kinds[document["kind"]?.text ?? ""] else {
      throw Complaint("\(place).kind: required: \(PolicyRule.kinds.keys.sorted().joined(separator: ", "))")
    }
    let values = document["values"]?.elements ?? []
    guard values.allSatisfy({ $0.text != nil }) else {
      throw Complaint("\(place).values: not a list of texts")
    }
    (self.kind, self.claim, self.values) = (kind, claim, values.compactMap(\.text))
  }

  fileprivate func made(_ texts: Texts) -> jwt_rule {
    jwt_rule(
      size: MemoryLayout<jwt_rule>.size, kind: kind, claim: texts.keep(claim),
      values: values.isEmpty ? nil : texts.keep(values), value_count: values.count)
  }
}

/// A policy, by one owner.
final class PolicyHandle {
  let policy: OpaquePointer

  private let cache: CacheHandle

  fileprivate init(_ policy: OpaquePointer, of cache: CacheHandle) {
    (self.policy, self.cache) = (policy, cache)
  }

  deinit { jwt_policy_release(policy) }
}
