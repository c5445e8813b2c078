/// One rule of a policy on the value of one claim. The numbers are those of `jwt_rule_kind`.
enum RuleKind: UInt32 {
  case present = 0
  case equals = 1
  case oneOf = 2
  case prefix = 3
  case contains = 4
  case hasWord = 5
  case spiffeTrustDomain = 6
}

struct Rule {
  let kind: RuleKind
  /// A member's name, or a JSON pointer if it begins with a slash.
  let claim: Bytes
  let values: Items<Bytes>

  func check(_ claims: JSONValue, shadow: JSONShadow) throws(Status) {
    let isPointer = claim.byte(at: 0) == UInt8(ascii: "/")
    let found = isPointer ? claims.at(pointer: claim) : claims.member(claim)
    guard let found else { throw .claimMissing }
    guard found.kind != .null, holds(found, shadow) else { throw .ruleFailed }
  }

  private func holds(_ found: JSONValue, _ shadow: JSONShadow) -> Bool {
    switch kind {
    case .present: true
    case .equals, .oneOf: anyValue { value in Rule.equal(found, value) }
    case .prefix: anyValue { value in found.string?.hasPrefix(value) ?? false }
    case .contains: anyElement(of: found)
    case .hasWord: anyValue { value in found.string?.hasWord(value) ?? false }
    case .spiffeTrustDomain:
      anyValue { value in SPIFFEID.isOf(trustDomain: value, found.string.map { shadow.plain($0) } ?? .empty) }
    }
  }

  private func anyElement(of found: JSONValue) -> Bool {
    guard found.kind == .array else { return false }
    var elements = found.elements()
    while let element = elements.next() {
      if anyValue({ value in Rule.equal(element, value) }) { return true }
    }
    return false
  }

  private func anyValue(_ fits: (Bytes) -> Bool) -> Bool {
    for position in values.count.times {
      if let value = values.item(at: position), fits(value) { return true }
    }
    return false
  }

  private static func equal(_ found: JSONValue, _ value: Bytes) -> Bool {
    switch found.kind {
    case .string: found.string?.equals(value) ?? false
    case .number, .boolean: found.text == value
    default: false
    }
  }
}
