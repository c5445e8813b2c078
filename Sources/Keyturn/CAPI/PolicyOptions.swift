internal import CKeyturnAPI

/// The options of a policy as the host gave them, read into terms: a function for each.
@safe struct PolicyOptions {
  private let known: jwt_policy_options
  private let cache: Cache

  init(_ known: jwt_policy_options, cache: Cache) {
    unsafe self.known = unsafe known
    self.cache = cache
  }

  func terms(_ arena: inout Arena) throws(Fault) -> Terms {
    try unsafe Options.zero(known.reserved, OptionName("reserved"))
    return unsafe Terms(
      form: Form(
        bounds: try bounds(),
        algorithms: Allowed(named: try Options.algorithms(known.algorithms, OptionName("algorithms"))),
        type: arena.copy(try Options.text(known.type, OptionName("type"), atMost: 256) ?? .empty)),
      issuers: try issuers(&arena),
      audience: try audience(&arena),
      lifetime: try lifetime(),
      hostConfirms: try Options.flag(known.host_confirms, OptionName("host_confirms")),
      rules: try rules(&arena))
  }

  private func bounds() throws(Fault) -> Bounds {
    let nesting = try unsafe Options.count(known.max_nesting, OptionName("max_nesting"), default: 32, 1...64)
    let header = try unsafe Options.count(
      known.max_header_members, OptionName("max_header_members"), default: 64, 1...4_096)
    let claims = try unsafe Options.count(
      known.max_claims_members, OptionName("max_claims_members"), default: 512, 1...4_096)
    return Bounds(
      token: try unsafe Bounds.token(known.max_token),
      kid: try unsafe Options.count(known.max_kid, OptionName("max_kid"), default: 1_024, 1...4_096),
      header: JSONLimits(maxMembers: header, maxNesting: nesting),
      claims: JSONLimits(maxMembers: claims, maxNesting: nesting))
  }

  private func issuers(_ arena: inout Arena) throws(Fault) -> Issuers {
    let name = OptionName("issuers")
    let count = unsafe known.issuer_count
    let any = try unsafe Options.flag(known.allow_any_issuer, OptionName("allow_any_issuer"))
    guard try Options.some(count, name, atMost: 16_384), let given = unsafe known.issuers else {
      throw name.refused("A policy needs the issuers that it trusts.")
    }
    guard !any || count == 1 else {
      throw OptionName("allow_any_issuer").refused("It needs exactly one issuer, whose keys count.")
    }
    let list = arena.items(count, of: Issuer.self)
    let index = try index(for: count, &arena)
    let issuers = Issuers(list: list, index: index, any: any)
    for place in count.times {
      guard let issuer = unsafe Issuer(given[place]) else { throw name.at(place).refused("It is NULL.") }
      guard issuer.cache == cache else { throw name.at(place).refused("It belongs to another cache.") }
      guard !(ControlLock.with { issuer.isRemoved }) else {
        throw name.at(place).refused("It was removed from its cache.")
      }
      guard issuers.find(issuer.name) == nil else { throw name.at(place).refused("It is named twice.") }
      list.set(issuer, at: place)
      index.add(issuer.name, place)
    }
    return issuers
  }

  private func audience(_ arena: inout Arena) throws(Fault) -> Audience {
    let any = try unsafe Options.flag(known.allow_any_audience, OptionName("allow_any_audience"))
    let accepted = try unsafe Options.texts(
      known.audiences, count: known.audience_count, OptionName("audiences"), atMost: 256, arena: &arena)
    guard any != (unsafe known.audience_count > 0) else {
      throw OptionName("audiences").refused(
        "Give the audiences that a token must name, or allow_any_audience; not both.")
    }
    return Audience(accepted: accepted, index: try index(of: accepted, &arena), any: any)
  }

  /// In a dry run there are none yet, but their number is known.
  private func index(of names: Items<Bytes>, _ arena: inout Arena) throws(Fault) -> HashIndex {
    let index = try index(for: unsafe known.audience_count, &arena)
    for place in names.count.times { index.add(names.item(at: place) ?? .empty, place) }
    return index
  }

  private func index(for count: Int, _ arena: inout Arena) throws(Fault) -> HashIndex {
    let slots = arena.items(HashIndex.slots(for: count), of: UInt32.self)
    return try Fault.of { () throws(Status) in HashIndex(slots, key: try .process) }
  }

  private func lifetime() throws(Fault) -> Lifetime {
    let leeway = try unsafe Options.time(known.leeway_s, OptionName("leeway_s"), default: 30, atMost: 600)
    let maximum = try unsafe Options.time(
      known.max_lifetime_s, OptionName("max_lifetime_s"), default: nil, atMost: .max)
    let allowNone = try unsafe Options.flag(known.allow_no_expiry, OptionName("allow_no_expiry"))
    return Lifetime(leeway: leeway ?? 0, maximum: maximum, requiresExpiry: !allowNone)
  }

  private func rules(_ arena: inout Arena) throws(Fault) -> Items<Rule> {
    let name = OptionName("rules")
    let count = unsafe known.rule_count
    guard try Options.some(count, name, atMost: 256) else { return .none }
    guard let given = unsafe known.rules else { throw name.refused("It is NULL, but rule_count is not 0.") }
    let stride = unsafe given.pointee.size
    let rules = arena.items(count, of: Rule.self)
    for place in count.times {
      let one = unsafe (UnsafeRawPointer(given) + place &* stride).assumingMemoryBound(to: jwt_rule.self)
      guard unsafe one.pointee.size == stride else {
        throw name.at(place).member("size").refused("All rules of an array have one size.")
      }
      rules.set(try unsafe rule(one, name.at(place), &arena), at: place)
    }
    return rules
  }

  private func rule(
    _ given: UnsafePointer<jwt_rule>, _ name: OptionName, _ arena: inout Arena
  ) throws(Fault) -> Rule {
    var known = unsafe jwt_rule()
    try unsafe Options.read(given, into: &known)
    guard let kind = unsafe RuleKind(rawValue: known.kind.rawValue) else {
      throw name.member("kind").refused("It is no JWT_RULE_ of this release.")
    }
    guard unsafe kind.takes(known.value_count) else {
      throw name.member("value_count").refused(
        "PRESENT takes no value, EQUALS takes one, the others take 1 to 256.")
    }
    return unsafe Rule(
      kind: kind, claim: arena.copy(try claim(known.claim, name.member("claim"))),
      values: try values(known, kind, name.member("values"), &arena))
  }

  private func claim(_ text: UnsafePointer<CChar>?, _ name: OptionName) throws(Fault) -> Bytes {
    let claim = try unsafe Options.requiredText(text, name, atMost: 1_024)
    guard claim.byte(at: 0) != UInt8(ascii: "/") || claim.isPointer else {
      throw name.refused("A '~' in a JSON pointer is followed by 0 or 1 (RFC 6901).")
    }
    return claim
  }

  private func values(
    _ known: jwt_rule, _ kind: RuleKind, _ name: OptionName, _ arena: inout Arena
  ) throws(Fault) -> Items<Bytes> {
    let values = try unsafe Options.texts(
      known.values, count: known.value_count, name, atMost: 256, arena: &arena)
    var place = 0
    while let value = values.item(at: place) {
      try check(value, kind, name)
      place &+= 1
    }
    return values
  }

  /// A value that could never be found is a mistake of who wrote it.
  private func check(_ value: Bytes, _ kind: RuleKind, _ name: OptionName) throws(Fault) {
    guard kind != .spiffeTrustDomain || SPIFFEID.isTrustDomain(value) else {
      throw name.refused("It is not the name of a SPIFFE trust domain.")
    }
    guard kind != .hasWord || value.firstIndex(of: UInt8(ascii: " ")) == nil else {
      throw name.refused("A word has no space in it; give each word as a value.")
    }
  }
}

extension Bounds {
  static func token(_ given: UInt32) throws(Fault) -> Int {
    try Options.count(given, OptionName("max_token"), default: 32_768, 64...1_048_576)
  }
}

extension RuleKind {
  fileprivate func takes(_ values: Int) -> Bool {
    switch self {
    case .present: values == 0
    case .equals: values == 1
    default: values >= 1 && values <= 256
    }
  }
}

extension Bytes {
  /// RFC 6901 section 3: a tilde is only there to escape.
  fileprivate var isPointer: Bool {
    for position in count.times where byte(at: position) == UInt8(ascii: "~") {
      let next = byte(at: position &+ 1)
      guard next == UInt8(ascii: "0") || next == UInt8(ascii: "1") else { return false }
    }
    return true
  }
}
