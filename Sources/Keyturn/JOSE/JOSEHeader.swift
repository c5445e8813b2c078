/// What the header of a JWS says about itself. It never says where a key comes from: jku, jwk, x5u and x5c
/// are not looked at (RFC 8725 section 3.10).
struct JOSEHeader {
  let algorithm: Algorithm
  let kid: Bytes?
  let type: Bytes?

  static func read(
    _ text: Bytes, limits: JSONLimits, names: NameTable, shadow: JSONShadow
  ) throws(Status) -> JOSEHeader {
    var members = Members()
    try JSON.readObject(text, limits: limits, names: names) { (name, value) in members.note(name, value) }
    guard !members.encrypted else { throw .encrypted }
    guard !members.critical else { throw .criticalHeader }
    guard let alg = try string(members.alg, shadow) else { throw .badHeader }
    let kid = try string(members.kid, shadow)
    let type = try string(members.typ, shadow)
    guard let algorithm = Algorithm(name: alg) else { throw .algorithmNotAllowed }
    return JOSEHeader(algorithm: algorithm, kid: kid, type: type)
  }

  /// RFC 7515 section 4.1.9: media types compare without case, and "application/" goes without saying.
  func isOfType(_ wanted: Bytes) -> Bool {
    guard let type else { return false }
    return MediaType.shortened(type).equalsIgnoringCase(MediaType.shortened(wanted))
  }

  private static func string(_ value: JSONValue?, _ shadow: JSONShadow) throws(Status) -> Bytes? {
    guard let value else { return nil }
    guard let string = value.string else { throw .badHeader }
    return shadow.plain(string)
  }

  private struct Members {
    var alg: JSONValue?
    var kid: JSONValue?
    var typ: JSONValue?
    var critical = false
    var encrypted = false

    @_optimize(speed)  // as with claims
    mutating func note(_ name: JSONString, _ value: JSONValue) {
      if name.isNamed("alg") { alg = value }
      if name.isNamed("kid") { kid = value }
      if name.isNamed("typ") { typ = value }
      if name.isNamed("crit") { critical = true }
      if name.isNamed("enc") { encrypted = true }
    }
  }
}

private enum MediaType {
  static func shortened(_ type: Bytes) -> Bytes {
    let prefix = Bytes("application/")
    guard type.slice(from: 0, length: prefix.count).equalsIgnoringCase(prefix) else { return type }
    let rest = type.slice(from: prefix.count)
    return rest.firstIndex(of: UInt8(ascii: "/")) == nil ? rest : type
  }
}
