internal import CKeyturnAPI

/// Those options of an issuer that say where its keys come from: a function for each part.
@safe struct SourceOptions {
  private let known: jwks_issuer_options

  init(_ known: jwks_issuer_options) { unsafe self.known = unsafe known }

  func terms() throws(Fault) -> SourceTerms {
    guard try isFetched() else {
      try refuseTheRest()
      return try SourceTerms.make { (arena) throws(Fault) in try pinned(&arena) }
    }
    guard unsafe known.pinned_max_age_ms == 0 else { throw notPinned("pinned_max_age_ms") }
    guard unsafe known.valid_until == 0 else { throw notPinned("valid_until") }
    return try SourceTerms.make { (arena) throws(Fault) in try fetched(&arena) }
  }

  private func notPinned(_ option: StaticString) -> Fault {
    OptionName(option).refused("Keys that are fetched have hard_limit_ms.")
  }

  @inline(never)
  private func fetched(_ arena: inout Arena) throws(Fault) -> SourceTerms.Record {
    var record = SourceTerms.Record()
    record.kind = unsafe known.discovery == JWKS_DISCOVERY_NONE ? .keysURL : .discovery
    record.isLazy = try unsafe Options.flag(known.lazy, OptionName("lazy"))
    record.settings = try unsafe RefreshSettings(known)
    record.target = try target(&arena)
    return record
  }

  @inline(never)
  private func pinned(_ arena: inout Arena) throws(Fault) -> SourceTerms.Record {
    var record = SourceTerms.Record()
    if unsafe known.file != nil { record.file = try unsafe path(known.file, "file", &arena) }
    record.settings = try unsafe RefreshSettings(known)
    guard unsafe known.valid_until >= 0 else {
      throw OptionName("valid_until").refused("It is outside of the range that keyturn.h states.")
    }
    if unsafe known.valid_until > 0 { record.validUntil = unsafe known.valid_until }
    return record
  }

  private func isFetched() throws(Fault) -> Bool {
    let place = OptionName("discovery")
    guard unsafe known.discovery.rawValue <= JWKS_DISCOVERY_OAUTH.rawValue else {
      throw place.refused("It is no JWKS_DISCOVERY_ of this release.")
    }
    let discovers = unsafe known.discovery != JWKS_DISCOVERY_NONE
    let hasURL = unsafe known.jwks_url != nil
    guard !discovers || !hasURL else { throw place.refused("Give jwks_url or discovery, not both.") }
    let isFetched = discovers || hasURL
    guard unsafe !isFetched || known.file == nil else {
      throw OptionName("file").refused("Give a file, jwks_url or discovery, one of them.")
    }
    guard unsafe known.file != nil || known.file_check_ms == 0 else {
      throw OptionName("file_check_ms").refused("It needs file.")
    }
    guard unsafe !isFetched || known.allow_symmetric == 0 else {
      throw OptionName("allow_symmetric").refused("Secrets are not fetched.")
    }
    return isFetched
  }

  /// Without a URL an option for fetching is a mistake.
  private func refuseTheRest() throws(Fault) {
    var rest = unsafe known
    unsafe rest.size = 0
    unsafe rest.issuer = nil
    unsafe rest.algorithms = 0
    unsafe rest.use = JWKS_USE_SIG
    unsafe rest.allow_symmetric = 0
    unsafe rest.max_keys = 0
    unsafe rest.max_document = 0
    unsafe rest.pinned_max_age_ms = 0
    unsafe rest.valid_until = 0
    unsafe rest.stale_warning_ms = 0
    unsafe rest.pins = nil
    unsafe rest.pin_count = 0
    unsafe rest.grace_ms = 0
    unsafe rest.file = nil
    unsafe rest.file_check_ms = 0
    unsafe rest.signed_by = nil
    let isClear = unsafe withUnsafeBytes(of: &rest) { octets in
      unsafe Bytes(octets.baseAddress?.assumingMemoryBound(to: UInt8.self), count: octets.count).isAllZero
    }
    guard isClear else {
      throw OptionName("jwks_url").refused("Options for fetching need jwks_url or discovery.")
    }
  }

  // MARK: - What is asked for, and how

  private func target(_ arena: inout Arena) throws(Fault) -> SourceTarget {
    let allowsHTTP = try unsafe Options.flag(known.allow_http, OptionName("allow_http"))
    let maximum = try unsafe Options.count(
      known.max_document, OptionName("max_document"), default: 524_288, 1...16_777_216)
    let (certificate, key) = try clientCertificate(&arena)
    return unsafe SourceTarget(
      url: try url(allowsHTTP, &arena), isDiscovered: known.discovery != JWKS_DISCOVERY_NONE,
      allowsHTTP: allowsHTTP, hosts: try hosts(&arena), headers: try headers(&arena),
      caFile: try path(known.ca_file, "ca_file", &arena), clientCertificate: certificate, clientKey: key,
      proxy: try proxy(&arena), maxRedirects: try redirects(), maximumDocument: maximum,
      isSigned: known.signed_by != nil)
  }

  private func url(_ allowsHTTP: Bool, _ arena: inout Arena) throws(Fault) -> Bytes {
    if let text = try unsafe Options.text(known.jwks_url, OptionName("jwks_url"), atMost: HTTPURL.longest) {
      _ = try url(text, OptionName("jwks_url"), allowsHTTP)
      return arena.string(text)
    }
    let name = OptionName("issuer")
    let issuer = try url(try unsafe Options.requiredText(known.issuer, name, atMost: 1_024), name, allowsHTTP)
    guard !issuer.hasQuery else { throw name.refused("With discovery it has no query.") }
    let isOpenID = unsafe known.discovery == JWKS_DISCOVERY_OPENID
    return DiscoveryDocument.url(of: issuer, isOpenID ? .openID : .oauth, &arena)
  }

  private func url(_ text: Bytes, _ name: OptionName, _ allowsHTTP: Bool) throws(Fault) -> HTTPURL {
    guard let url = HTTPURL(text) else {
      throw name.refused("It is not an absolute https URL without user, password and fragment.")
    }
    guard url.isSecure || allowsHTTP else {
      throw name.refused("It is not https, which only allow_http allows.")
    }
    return url
  }

  private func proxy(_ arena: inout Arena) throws(Fault) -> Bytes {
    let name = OptionName("proxy")
    guard let text = try unsafe Options.text(known.proxy, name, atMost: HTTPURL.longest) else {
      return .empty
    }
    guard HTTPURL(text) != nil else { throw name.refused("It is not an http or https URL.") }
    return arena.string(text)
  }

  private func hosts(_ arena: inout Arena) throws(Fault) -> Items<Bytes> {
    let hosts = try unsafe Options.texts(
      known.jwks_hosts, count: known.jwks_host_count, OptionName("jwks_hosts"), atMost: 64, arena: &arena)
    try Options.check(hosts, OptionName("jwks_hosts"), "It is not the host of a URL.") { HTTPURL.isHost($0) }
    return hosts
  }

  private func headers(_ arena: inout Arena) throws(Fault) -> Items<Bytes> {
    let headers = try unsafe Options.texts(
      known.headers, count: known.header_count, OptionName("headers"), atMost: 32, arena: &arena)
    try Options.check(headers, OptionName("headers"), "It is not \"Name: value\".") { $0.isHeader }
    return headers
  }

  private func clientCertificate(_ arena: inout Arena) throws(Fault) -> (Bytes, Bytes) {
    let certificate = try unsafe path(known.client_certificate, "client_certificate", &arena)
    let key = try unsafe path(known.client_key, "client_key", &arena)
    guard unsafe (known.client_certificate == nil) == (known.client_key == nil) else {
      throw OptionName("client_key").refused("A certificate and its key go together.")
    }
    return (certificate, key)
  }

  private func path(
    _ text: UnsafePointer<CChar>?, _ option: StaticString, _ arena: inout Arena
  ) throws(Fault) -> Bytes {
    arena.string(try unsafe Options.text(text, OptionName(option), atMost: 4_096) ?? .empty)
  }

  private func redirects() throws(Fault) -> Int {
    let count = unsafe known.max_redirects
    guard count <= 3 else {
      throw OptionName("max_redirects").refused("It is outside of the range that keyturn.h states.")
    }
    return Int(count)
  }
}

extension Bytes {
  /// A field name (RFC 9110 section 5.1), a colon, and any value.
  fileprivate var isHeader: Bool {
    guard let colon = firstIndex(of: UInt8(ascii: ":")), colon > 0 else { return false }
    return slice(from: 0, length: colon).consists { octet in
      switch octet {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }
}
