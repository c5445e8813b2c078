/// One member of a JWK Set (RFC 7517 section 4), and the rules that its members other than the key itself obey.
struct JWK {
  private let object: DocumentValue
  let type: KeyType

  init(_ value: DocumentValue) throws(KeyFault) {
    guard value.isObject else { throw .notAnObject }
    guard let name = value.member("kty")?.text, let type = KeyType(name: name) else { throw .unknownType }
    object = value
    self.type = type
  }

  var kid: Bytes? { object.member("kid")?.text }

  /// Whether it tells its name and what it is for. Only then is odd Base64 read: a key that neither keeps to
  /// the RFC nor says what it is stays out.
  var saysAll: Bool { kid != nil && has("use") && has("alg") }

  /// A member that must be a string.
  func text(_ name: StaticString) throws(KeyFault) -> Bytes {
    guard let text = object.member(name)?.text else { throw .badMember }
    return text
  }

  /// What may be known of a key before its value is looked at, in an order that keeps reasons stable: the
  /// loudest first. Gives the kind, and the algorithm that `alg` declares.
  func check(_ rules: KeyRules) throws(KeyFault) -> (kind: KeyKind, declared: Algorithm?) {
    try refusePrivate()
    try checkSource(rules)
    try checkUse(rules.use)
    try checkOperations()
    let kind = try kind
    let declared = try declared
    if let declared, !kind.algorithms.contains(declared) { throw .algorithmMismatch }
    if object.member("kid") != nil, (kid?.count ?? .max) > Key.longestKid { throw .badMember }
    return (kind, declared)
  }

  /// The type with `crv`, or with the `alg` of an AKP key.
  var kind: KeyKind {
    get throws(KeyFault) {
      switch type {
      case .rsa: return .rsa
      case .oct: return .oct
      case .ec, .okp:
        guard let curve = object.member("crv")?.text, let kind = KeyKind(type: type, curve: curve) else {
          throw .unknownCurve
        }
        return kind
      case .akp:
        // RFC 9964 section 3: alg is not optional here, it names the parameter set.
        guard let algorithm = try declared else { throw .unknownAlgorithm }
        guard let kind = KeyKind(parameterSet: algorithm) else { throw .algorithmMismatch }
        return kind
      }
    }
  }

  private var declared: Algorithm? {
    get throws(KeyFault) {
      guard let member = object.member("alg") else { return nil }
      guard let name = member.text, let algorithm = Algorithm(name: name) else { throw .unknownAlgorithm }
      return algorithm
    }
  }

  /// RFC 7518 sections 6.2.2 and 6.3.2, RFC 9964: a published private key is everybody's.
  private func refusePrivate() throws(KeyFault) {
    guard type != .oct else { return }
    guard !has("d"), !has("p"), !has("q"), !has("dp"), !has("dq"), !has("qi"), !has("oth"), !has("k"),
      !has("priv")
    else { throw .isPrivate }
  }

  private func has(_ name: StaticString) -> Bool { object.member(name) != nil }

  private func checkSource(_ rules: KeyRules) throws(KeyFault) {
    guard type != .oct || rules.symmetric else { throw .symmetric }
  }

  private func checkUse(_ wanted: KeyUse) throws(KeyFault) {
    let member = object.member("use")
    switch wanted {
    case .sig:
      guard let member else { return }
      guard let use = member.text, use == "sig" else { throw .otherUse }
    case .jwtSVID:
      guard let use = member?.text, use == "jwt-svid" else { throw .otherUse }
    }
  }

  /// RFC 7517 section 4.3: an array of different strings, here with "verify" among them.
  private func checkOperations() throws(KeyFault) {
    guard let operations = object.member("key_ops") else { return }
    guard let count = operations.elementCount, count <= JWK.maximumOperations else { throw .badMember }
    var verifies = false
    for index in count.times {
      guard let operation = operations.element(index)?.text else { throw .badMember }
      for earlier in index.times where operations.element(earlier)?.text.map({ $0 == operation }) == true {
        throw .badMember
      }
      verifies = verifies || operation == "verify"
    }
    guard verifies else { throw .otherUse }
  }

  /// Eight are registered; each is compared with all before it.
  private static var maximumOperations: Int { 32 }
}
