import CKeyturnAPI

/// Judges a JWK Set: by the RFCs, as the library reads them, and by what makes rotations go well.
struct SetLint {
  let keys: [PublishedKey]
  let document: JSON?

  var findings: [Finding] {
    keys.flatMap(findings(of:)) + duplicates + (usable.count == 1 ? [oneKey] : [])
      + (usable.isEmpty ? [noKey] : [])
  }

  private var usable: [PublishedKey] { keys.filter(\.isUsable) }

  private let oneKey = Finding(
    .warning, "one-key",
    "Only one key is published. When it is replaced, verifiers refuse tokens until they have asked again: "
      + "publish the next key before it signs.")
  private let noKey = Finding(
    .error, "no-key", "No key can be used: every token will be refused.", "RFC 7517 section 5")

  init(_ keys: [PublishedKey], _ document: JSON?) { (self.keys, self.document) = (keys, document) }

  private func place(_ key: PublishedKey) -> String {
    "keys[\(key.index)]" + (key.kid.isEmpty ? "" : " \(key.kid)")
  }

  private func member(_ name: String, of key: PublishedKey) -> JSON? {
    guard let all = document?["keys"]?.elements, all.indices.contains(key.index) else { return nil }
    return all[key.index][name]
  }

  // MARK: - One key

  private func findings(of key: PublishedKey) -> [Finding] {
    let fault = SetLint.faults[key.fault.rawValue].map { severity, rule, source in
      Finding(severity, rule, at: place(key), "It is not used: \(key.whyNot ?? "").", source)
    }
    guard key.isUsable else { return [fault].compactMap { $0 } }
    return [kid(key), lenient(key), size(key), exponent(key)].compactMap { $0 } + unsaid(key)
  }

  private func kid(_ key: PublishedKey) -> Finding? {
    if member("kid", of: key)?.text?.unicodeScalars.contains(where: Terminal.isUnsafe) ?? false {
      return Finding(.warning, "strange-kid", at: place(key), "Its kid has characters that cannot be seen.")
    }
    guard key.kid.isEmpty else { return nil }
    return Finding(
      keys.count > 1 ? .error : .warning, "no-kid", at: place(key),
      "It has no kid: tokens cannot name it, and verifiers cannot tell that it is new.",
      "RFC 7517 section 4.5")
  }

  private func lenient(_ key: PublishedKey) -> Finding? {
    guard key.isLenient else { return nil }
    return Finding(
      .warning, "not-base64url", at: place(key),
      "A member is padded, in the wrong alphabet, or has a leading zero: strict verifiers refuse it.",
      "RFC 7518 section 2")
  }

  private func size(_ key: PublishedKey) -> Finding? {
    guard member("kty", of: key)?.text == "RSA", key.bits < 3_072 else { return nil }
    return Finding(
      .note, "rsa-size", at: place(key), "RSA of \(key.bits) bits is not meant to last beyond 2030.",
      "NIST SP 800-57 part 1")
  }

  private func exponent(_ key: PublishedKey) -> Finding? {
    guard let e = member("e", of: key)?.text, ["Aw", "BQ", "EQ"].contains(e) else { return nil }
    return Finding(
      .warning, "small-exponent", at: place(key),
      "Its public exponent is small: many refuse it. 65537 is usual.",
      "FIPS 186-5 section 5.1")
  }

  private func unsaid(_ key: PublishedKey) -> [Finding] {
    var found: [Finding] = []
    if document != nil, member("alg", of: key) == nil {
      let isRSA = member("kty", of: key)?.text == "RSA"
      found.append(
        Finding(
          isRSA ? .warning : .note, "no-alg", at: place(key),
          isRSA ? "It has no alg: verifiers guess what it serves." : "It has no alg.", "RFC 8725 section 3.1")
      )
    }
    if member("alg", of: key)?.text == "EdDSA" {
      found.append(
        Finding(.note, "old-name", at: place(key), "EdDSA is deprecated: say Ed25519 or Ed448.", "RFC 9864"))
    }
    if document != nil, member("use", of: key) == nil, member("key_ops", of: key) == nil {
      found.append(Finding(.note, "no-use", at: place(key), "It has no use.", "RFC 7517 section 4.2"))
    }
    return found
  }

  private static let faults: [UInt32: (Finding.Severity, String, String)] = [
    JWKS_KEY_NOT_AN_OBJECT.rawValue: (.error, "no-object", "RFC 7517 section 5"),
    JWKS_KEY_UNKNOWN_TYPE.rawValue: (.warning, "unknown-type", "RFC 7517 section 4.1"),
    JWKS_KEY_UNKNOWN_CURVE.rawValue: (.warning, "unknown-curve", "RFC 7518 section 6.2"),
    JWKS_KEY_UNKNOWN_ALGORITHM.rawValue: (.note, "unknown-algorithm", "RFC 7517 section 4.4"),
    JWKS_KEY_ALGORITHM_MISMATCH.rawValue: (.error, "algorithm-mismatch", "RFC 7517 section 4.4"),
    JWKS_KEY_OTHER_USE.rawValue: (.note, "other-use", "RFC 7517 section 4.2"),
    JWKS_KEY_BAD_MEMBER.rawValue: (.error, "bad-member", "RFC 7518 section 6"),
    JWKS_KEY_TOO_WEAK.rawValue: (.error, "weak-key", "RFC 7518 section 3.3"),
    JWKS_KEY_TOO_LARGE.rawValue: (.error, "large-key", "RFC 7518 section 6.3"),
    JWKS_KEY_BAD_VALUE.rawValue: (.error, "bad-value", "RFC 7518 section 6"),
    JWKS_KEY_PRIVATE.rawValue: (.error, "private-key", "RFC 7517 section 9.2"),
    JWKS_KEY_SYMMETRIC.rawValue: (.error, "secret", "RFC 7517 section 9.2"),
    JWKS_KEY_NOT_OFFERED.rawValue: (.note, "not-offered", ""),
    JWKS_KEY_REPEATED.rawValue: (.warning, "repeated-key", "RFC 7517 section 4.5"),
  ]

  // MARK: - Keys together

  private var duplicates: [Finding] {
    let byKid = Dictionary(grouping: usable.filter { !$0.kid.isEmpty }, by: \.kid)
    let byKey = Dictionary(grouping: usable.filter { !$0.thumbprint.isEmpty }, by: \.thumbprint)
    let kids = byKid.filter { $0.value.count > 1 }.map { _, keys in
      Finding(
        .error, "duplicate-kid", at: places(keys),
        "Different keys have the same kid: many verifiers see one only.",
        "RFC 7517 section 4.5")
    }
    let same = byKey.filter { Set($0.value.map(\.kid)).count > 1 }.map { _, keys in
      Finding(
        .warning, "same-key", at: places(keys),
        "The same key stands under different kids: to replace one of them changes nothing.")
    }
    return (kids + same).sorted { $0.place < $1.place }
  }

  private func places(_ keys: [PublishedKey]) -> String { keys.map(place).joined(separator: ", ") }

  // MARK: - Against an earlier set

  /// Whether who knows the earlier set alone can go on.
  static func overlap(_ now: [PublishedKey], since before: [PublishedKey]) -> [Finding] {
    let (now, before) = (now.filter(\.isUsable), before.filter(\.isUsable))
    let known = Set(before.map(\.thumbprint))
    var found = now.filter { key in
      !key.kid.isEmpty && before.contains { $0.kid == key.kid && $0.thumbprint != key.thumbprint }
    }.map { key in
      Finding(
        .error, "kid-reused", at: "keys[\(key.index)] \(key.kid)",
        "Its kid was another key's: verifiers that have that one do not ask again.", "RFC 7517 section 4.5")
    }
    if !before.isEmpty, !now.contains(where: { known.contains($0.thumbprint) }) {
      found.append(
        Finding(
          .error, "no-overlap",
          "No key of the earlier set is left: tokens that it signed are refused at once, "
            + "and tokens of the new keys until verifiers have asked again."))
    }
    return found
  }
}
