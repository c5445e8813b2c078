/// When a key may follow another without a token being refused that should be accepted, or the other way round.
///
/// Four moments, in seconds from now, each as early as the ones before and the inputs allow:
///
///   publish ------------> sign ----------------------------> retire ------------> gone
///   |  all verifiers have |  tokens of the old key end:      |  all verifiers have |
///   |  the new key        |  lifetime + leeway               |  dropped the old key|
///
/// The bound from a change to every verifier is `spread`: what lies between the issuer and a verifier keeps the
/// old answer for as long as it is fresh, and each of these in its turn. A new key is there earlier, at `reach`, where
/// verifiers fetch for a token that names it. Both are as short as can be: `keyturn rehearse` sees tokens refused when a
/// tenth of either is missing.
struct Rotation: Equatable {
  struct Inputs: Equatable {
    /// exp - iat of the longest token.
    var tokenLifetime: Int64
    /// For how long each cache between issuer and verifier may keep the set: max-age.
    var cacheFreshness: Int64
    /// Caches in a row, each of which keeps what the one before it gives for so long. Neighbours that tell each other its
    /// Age do so together, and are one.
    var caches: Int64 = 1
    /// The longest time between two fetches of the slowest verifier.
    var verifierInterval: Int64
    /// From a change at the issuer until every server of it gives the new set.
    var propagation: Int64
    /// What verifiers add to exp, and take from nbf and iat.
    var leeway: Int64
    /// The most that a verifier's clock and the issuer's differ.
    var skew: Int64 = 0
    /// The age from which verifiers accept no key set: their longest outage.
    var hardLimit: Int64
    /// Whether verifiers fetch when a token names a kid that they do not know.
    var fetchesOnMiss = true
    /// How often it does so at most, when others have named unknown kids before.
    var missInterval: Int64 = 30
    /// What verifiers wait for each other, and may be late by.
    var margin: Int64 = 0
  }

  /// One interval, and why it is so long.
  struct Step: Equatable {
    let name: String
    let at: Int64
    let action: String
    let why: String
  }

  let inputs: Inputs

  init(_ inputs: Inputs) { self.inputs = inputs }

  // MARK: - Bounds

  /// From a change at the issuer until no verifier that can reach it has the set from before.
  var spread: Int64 {
    inputs.propagation + kept + inputs.verifierInterval + inputs.margin
  }

  /// From a new key's publication until none of them refuses a token that names it.
  var reach: Int64 { inputs.propagation + kept + asking + inputs.margin }

  private var kept: Int64 { inputs.cacheFreshness * inputs.caches }

  private var asking: Int64 {
    inputs.fetchesOnMiss ? min(inputs.verifierInterval, inputs.missInterval) : inputs.verifierInterval
  }

  /// The longest between two fetches of a gateway with Keyturn, by what it is told of the set's freshness. Where a cache
  /// tells Age, it may have come with none left.
  static func interval(freshness: Int64, isAgeTold: Bool, from least: Int64 = 60, to most: Int64 = 3_600)
    -> Int64
  {
    let fresh = isAgeTold ? least : max(least, min(freshness, most))
    return (fresh * 9 + 9) / 10
  }

  /// From the last token of the old key until none of them is accepted anywhere.
  var drain: Int64 { inputs.tokenLifetime + inputs.leeway + inputs.skew }

  /// The same for one that is cut off from then on.
  var isolation: Int64 { max(spread, inputs.hardLimit + inputs.margin) }

  // MARK: - The staged rotation

  var publish: Int64 { 0 }
  var sign: Int64 { publish + reach }
  var retire: Int64 { sign + inputs.propagation + drain }
  var gone: Int64 { retire + spread }

  var steps: [Step] {
    [
      Step(
        name: "publish", at: publish, action: "add the new key to the set; the old one still signs",
        why: "verifiers must know a key before tokens name it"),
      Step(
        name: "sign", at: sign, action: "sign with the new key",
        why: reached(
          inputs.fetchesOnMiss
            ? "every verifier has it by then, or may fetch it" : "every verifier has it by then")),
    ] + steps(retiring: retire, why: lifetimeOver)
  }

  /// Why the old key may go when the lifetime of its last token is over.
  var lifetimeOver: String {
    sum(
      "no token of the old key is alive then",
      [
        ("propagation to the last signer", inputs.propagation), ("token lifetime", inputs.tokenLifetime),
        ("leeway", inputs.leeway), ("skew", inputs.skew),
      ])
  }

  /// The end of a rotation, from the old key's leaving on.
  func steps(retiring retire: Int64, why: String) -> [Step] {
    [
      Step(name: "retire", at: retire, action: "take the old key out of the set", why: why),
      Step(
        name: "gone", at: retire + spread, action: "destroy the old key",
        why: sum(
          "no verifier trusts it any more",
          onTheWay + [("slowest verifier", inputs.verifierInterval), ("margin", inputs.margin)])),
      Step(
        name: "cut off", at: retire + isolation,
        action: "nothing: from here on not even a verifier that is cut off trusts it",
        why: "a key set is trusted up to the hard limit of its age, which is \(Span.text(inputs.hardLimit))"),
    ]
  }

  // MARK: - The emergency: the old key is known to others

  var emergency: [Step] {
    [
      Step(
        name: "revoke", at: 0, action: "revoke the old key at every gateway: keyturn revoke",
        why: "gateways that share a store refuse it within a second; nothing else is so fast"),
      Step(
        name: "replace", at: 0,
        action: "publish the new key, take the old one out, and sign with the new one, at once",
        why: "who holds the old key signs tokens too: it cannot be left in for those that are alive"),
      Step(
        name: "served", at: refusedFor, action: "new tokens are accepted everywhere",
        why: reached(
          inputs.fetchesOnMiss
            ? "verifiers fetch when they meet the new kid, but caches give them the set from before"
            : "verifiers that do not fetch on an unknown kid have it with their next fetch")),
      Step(
        name: "exposed", at: spread, action: "where nobody revoked, forged tokens are accepted until now",
        why: "verifiers trust the old key until they have fetched the set without it"),
      Step(
        name: "cut off", at: isolation,
        action: "where nobody revoked and the issuer is out of reach, until now",
        why: "a key set is trusted up to the hard limit of its age"),
    ]
  }

  /// How long tokens of the new key may be refused in an emergency; those of the old one are from the start.
  var refusedFor: Int64 { reach }

  // MARK: - What cannot be safe

  /// No schedule helps against these.
  var dangers: [String] {
    var found: [String] = []
    if inputs.hardLimit < inputs.verifierInterval {
      found.append(
        "the hard limit of \(Span.text(inputs.hardLimit)) is shorter than the \(Span.text(inputs.verifierInterval)) "
          + "between two fetches: verifiers run out of keys in ordinary operation")
    }
    if inputs.skew > inputs.leeway {
      found.append(
        "clocks go wrong by more than the leeway: tokens are refused at once after their issue, whatever the plan"
      )
    }
    return found
  }

  /// To be known.
  var warnings: [String] {
    var found: [String] = []
    if inputs.tokenLifetime > 7 * 86_400 {
      found.append("tokens live longer than 7 days: an emergency logs out everybody who has one")
    }
    if !inputs.fetchesOnMiss {
      found.append("verifiers do not fetch on an unknown kid: nothing repairs a new key that signs too early")
    }
    return found
  }

  /// Why there is no plan, or nil.
  static func refusal(_ inputs: Inputs) -> String? {
    let spans = [
      ("token lifetime", inputs.tokenLifetime), ("cache freshness", inputs.cacheFreshness),
      ("slowest verifier", inputs.verifierInterval), ("propagation", inputs.propagation),
      ("leeway", inputs.leeway),
      ("skew", inputs.skew), ("hard limit", inputs.hardLimit), ("margin", inputs.margin),
      ("caches", inputs.caches),
    ]
    if let bad = spans.first(where: { $0.1 < 0 || $0.1 > 366 * 86_400 }) {
      return "\(bad.0): not between 0 and 366 days"
    }
    if inputs.caches > 16 { return "caches: at most 16" }
    if inputs.tokenLifetime == 0 { return "token lifetime: a token must live" }
    if inputs.hardLimit == 0 { return "hard limit: verifiers must accept a key for some time" }
    return nil
  }

  private func reached(_ claim: String) -> String {
    let isMiss = asking < inputs.verifierInterval
    let last = isMiss ? "between two fetches that tokens may ask for" : "slowest verifier"
    return sum(claim, onTheWay + [(last, asking), ("margin", inputs.margin)])
  }

  private var onTheWay: [(String, Int64)] {
    [("propagation", inputs.propagation), ("freshness, in \(inputs.caches) cache(s)", kept)]
  }

  private func sum(_ claim: String, _ parts: [(String, Int64)]) -> String {
    let said = parts.filter { $0.1 > 0 }.map { "\($0.0) \(Span.text($0.1))" }
    return said.isEmpty ? claim : "\(claim): \(said.joined(separator: " + "))"
  }
}
