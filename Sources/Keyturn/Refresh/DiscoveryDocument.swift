/// What an issuer says of itself: OpenID Connect Discovery section 4, RFC 8414 section 3.
enum DiscoveryDocument {
  /// Where it is found.
  enum Place {
    case openID
    case oauth
  }

  static var longest: Int { 524_288 }

  /// The URL for an issuer that is one itself, without a query.
  static func url(of issuer: HTTPURL, _ place: Place, _ arena: inout Arena) -> Bytes {
    let path = issuer.path
    let hasSlash = path.byte(at: path.count &- 1) == UInt8(ascii: "/")
    let bare = hasSlash ? path.slice(from: 0, length: path.count &- 1) : path
    return switch place {
    case .openID: arena.string(issuer.origin, bare, Bytes("/.well-known/openid-configuration"))
    case .oauth: arena.string(issuer.origin, Bytes("/.well-known/oauth-authorization-server"), bare)
    }
  }

  /// The document's jwks_uri, or signed_jwks_uri (OpenID Federation 1.0, section 5.2.1). The document counts only
  /// for the issuer that it names, octet by octet (RFC 8414 section 3.3), and leads only where the target allows.
  static func read(_ document: Bytes, of issuer: Bytes, _ target: SourceTarget) throws(Fault) -> OwnedText {
    let parsed = try Document(document)
    guard let name = parsed.top.member("issuer")?.text, name == issuer else {
      throw Fault(.invalidDocument, "The document is of another issuer.")
    }
    let uri = parsed.top.member(target.isSigned ? "signed_jwks_uri" : "jwks_uri")
    guard let text = uri?.text, let url = HTTPURL(text), target.allows(url) else {
      throw Fault(.invalidDocument, "The document says of no key set that may be fetched.")
    }
    var found = OwnedText(maximum: HTTPURL.longest)
    do throws(Status) { try found.set(text) } catch { throw .noMemory }
    return found
  }
}
