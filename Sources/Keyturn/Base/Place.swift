/// What a verification is looking at, so that a refusal can say what it is about. Only names, never a value.
struct Place {
  let name: StaticString
  /// Of a policy's rule: its number, and the claim it looks at.
  let rule: Int?
  let claim: Bytes

  init(_ name: StaticString, rule: Int? = nil, claim: Bytes = .empty) {
    self.name = name
    self.rule = rule
    self.claim = claim
  }
}
