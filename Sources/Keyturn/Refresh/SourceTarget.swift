/// What is fetched for an issuer, and how, as the host has said it. Its texts are NUL-terminated, and stand
/// beside their owner.
struct SourceTarget {
  /// Of the key set, or of the discovery document that tells it.
  let url: Bytes
  let isDiscovered: Bool
  let allowsHTTP: Bool
  /// Where else a discovered key set may stand; none means on any public host.
  let hosts: Items<Bytes>
  /// For the origin of `url` alone, like the client's certificate and the proxy.
  let headers: Items<Bytes>
  let caFile: Bytes
  let clientCertificate: Bytes
  let clientKey: Bytes
  let proxy: Bytes
  let maxRedirects: Int
  let maximumDocument: Int
  /// Whether the key set is: discovery then says elsewhere where it is.
  let isSigned: Bool

  static var none: SourceTarget {
    SourceTarget(
      url: .empty, isDiscovered: false, allowsHTTP: false, hosts: .none, headers: .none, caFile: .empty,
      clientCertificate: .empty, clientKey: .empty, proxy: .empty, maxRedirects: 0, maximumDocument: 0,
      isSigned: false)
  }

  func asksLike(_ other: SourceTarget) -> Bool {
    url == other.url && isDiscovered == other.isDiscovered && allowsHTTP == other.allowsHTTP
      && hosts.holdSame(as: other.hosts) && headers.holdSame(as: other.headers) && caFile == other.caFile
      && clientCertificate == other.clientCertificate && clientKey == other.clientKey && proxy == other.proxy
      && maxRedirects == other.maxRedirects && maximumDocument == other.maximumDocument
  }

  /// Whether a discovered key set may stand there.
  func allows(_ found: HTTPURL) -> Bool {
    guard found.isSecure || allowsHTTP else { return false }
    if isOnOwnHost(found) { return true }
    guard hosts.count > 0 else { return HostAddress.isPublic(found.host) }
    for place in hosts.count.times {
      if hosts.item(at: place)?.equalsIgnoringCase(found.host) == true { return true }
    }
    return false
  }

  /// Whether it stands there by the issuer's word alone: then its name must lead to a public address, too.
  func mustBePublic(_ url: Bytes) -> Bool {
    guard isDiscovered, hosts.count == 0, let found = HTTPURL(url) else { return false }
    return !isOnOwnHost(found)
  }

  private func isOnOwnHost(_ found: HTTPURL) -> Bool {
    guard let own = HTTPURL(url) else { return false }
    return found.host.equalsIgnoringCase(own.host)
  }

  func isOrigin(of other: Bytes) -> Bool {
    guard let own = HTTPURL(url), let other = HTTPURL(other) else { return false }
    return other.hasOrigin(of: own)
  }
}
