internal import CCurl
internal import CKeyturnFetch

/// Everything that bounds a request is set here, each time, whatever libcurl's own defaults are.
extension FlightRecord {
  @unsafe func makeEasy(_ context: UnsafeMutableRawPointer) throws(Status) -> Easy {
    var easy = try Easy.make()
    try setAddress(easy)
    try setTrust(easy)
    try setBounds(easy)
    try setProxy(easy)
    try refuseSurroundings(easy)
    try setFields(&easy)
    try unsafe easy.listen(
      context, body: takeBody, header: takeHeader, progress: countOctets,
      connection: openSocket, request: countRequest)
    return easy
  }

  private func setAddress(_ easy: borrowing Easy) throws(Status) {
    let protocols: StaticString = mayUseHTTP ? "https,http" : "https"
    try unsafe easy.set(CURLOPT_URL, url.pointer)
    try easy.set(CURLOPT_PROTOCOLS_STR, protocols)
    try easy.set(CURLOPT_REDIR_PROTOCOLS_STR, "https")
    try easy.set(CURLOPT_FOLLOWLOCATION, 0)  // redirects are judged and followed by Flight
    try easy.set(CURLOPT_HTTPGET, 1)
    try easy.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
    try easy.set(CURLOPT_HTTP09_ALLOWED, 0)
    try easy.set(CURLOPT_ACCEPT_ENCODING, "gzip")
    try unsafe easy.set(CURLOPT_USERAGENT, ckeyturnfetch_user_agent())
  }

  private func setTrust(_ easy: borrowing Easy) throws(Status) {
    try easy.set(CURLOPT_SSL_VERIFYPEER, 1)
    try easy.set(CURLOPT_SSL_VERIFYHOST, 2)
    try easy.set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    try easy.set(CURLOPT_PROXY_SSL_VERIFYPEER, 1)
    try easy.set(CURLOPT_PROXY_SSL_VERIFYHOST, 2)
    try easy.set(CURLOPT_PROXY_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    if let file = unsafe request.caFile {
      try unsafe easy.set(CURLOPT_CAINFO, file)
      try unsafe easy.set(CURLOPT_CAPATH, nil)  // or the system's would be trusted as well
    }
    guard isAtOrigin, let certificate = unsafe request.clientCertificate else { return }
    try unsafe easy.set(CURLOPT_SSLCERT, certificate)
    try unsafe easy.set(CURLOPT_SSLKEY, request.clientKey)
  }

  private func setBounds(_ easy: borrowing Easy) throws(Status) {
    let left = max(1, Int(deadline &- ckeyturnfetch_now()))  // 0 would be for ever
    try easy.set(CURLOPT_TIMEOUT_MS, left)
    try easy.set(CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeout)
    try easy.set(large: CURLOPT_MAXFILESIZE_LARGE, request.maxBody)
    try easy.set(CURLOPT_NOPROGRESS, 0)
    try easy.set(CURLOPT_MAXAGE_CONN, 30)
    try easy.set(CURLOPT_NOSIGNAL, 1)
    try easy.set(CURLOPT_QUICK_EXIT, 1)  // a resolver that hangs is left to end by itself
    // What was connected to for others was not looked at.
    if request.isPublicOnly { try easy.set(CURLOPT_FRESH_CONNECT, 1) }
  }

  /// An empty text is none; nothing at all would be what the environment says.
  private func setProxy(_ easy: borrowing Easy) throws(Status) {
    let proxy = unsafe isAtOrigin ? request.proxy : nil
    try unsafe easy.set(CURLOPT_PROXY, proxy ?? CString.of(""))
    try easy.set(CURLOPT_NOPROXY, "")
    try easy.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    try easy.set(CURLOPT_HEADEROPT, Int(CURLHEADER_SEPARATE))
  }

  private func refuseSurroundings(_ easy: borrowing Easy) throws(Status) {
    try easy.set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
    try unsafe easy.set(CURLOPT_COOKIEFILE, nil)
    try easy.set(CURLOPT_UNRESTRICTED_AUTH, 0)
  }

  /// The validators go along with redirects: they are the last answer's, wherever that came from.
  private func setFields(_ easy: inout Easy) throws(Status) {
    try add(Bytes("If-None-Match: "), request.ifNoneMatch, to: &easy)
    try add(Bytes("If-Modified-Since: "), request.ifModifiedSince, to: &easy)
    guard isAtOrigin else { return }
    for position in request.headerCount.times {
      let field = request.header(at: position)
      guard isField(field) else { throw .invalidOption }
      try easy.add(field: CText.of(field))
    }
  }

  private func add(_ name: Bytes, _ value: Bytes, to easy: inout Easy) throws(Status) {
    guard !value.isEmpty, value.fitsInHeader else { return }
    try easy.add(field: CText.of(name, value))
  }

  /// What has no name or no value would change libcurl's own fields instead of adding one.
  private func isField(_ field: Bytes) -> Bool {
    guard field.fitsInHeader, let colon = field.firstIndex(of: UInt8(ascii: ":")) else { return false }
    return colon > 0 && !field.slice(from: colon &+ 1).trimmed.isEmpty
  }
}

// MARK: - What libcurl calls. A count that differs from what was given, or a number but 0, ends the request.

private func takeBody(
  _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let flight = unsafe Flight(context) else { return 0 }
  return unsafe flight.take(body: piece(data, count)) ? count : -1
}

private func takeHeader(
  _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let flight = unsafe Flight(context) else { return 0 }
  return unsafe flight.take(header: piece(data, count)) ? count : -1
}

private func countOctets(
  _ context: UnsafeMutableRawPointer?, _ total: curl_off_t, _ downloaded: curl_off_t, _: curl_off_t,
  _: curl_off_t
) -> Int32 {
  guard let flight = unsafe Flight(context) else { return 1 }
  return flight.count(downloaded: Int(downloaded)) ? 0 : 1
}

/// None for an address that must not be asked: libcurl goes on to the next that the name has.
private func openSocket(
  _ context: UnsafeMutableRawPointer?, _: curlsocktype, _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
  guard let flight = unsafe Flight(context), let address = unsafe address,
    unsafe flight.mayConnect(to: address)
  else { return CURL_SOCKET_BAD }
  return unsafe ccurl_socket(address)
}

private func countRequest(
  _ context: UnsafeMutableRawPointer?, _: UnsafeMutablePointer<CChar>?, _: UnsafeMutablePointer<CChar>?,
  _: Int32,
  _: Int32
) -> Int32 {
  guard let flight = unsafe Flight(context) else { return Int32(CURL_PREREQFUNC_ABORT) }
  return flight.countRequest() ? Int32(CURL_PREREQFUNC_OK) : Int32(CURL_PREREQFUNC_ABORT)
}

/// The size of libcurl's items is always 1.
private func piece(_ data: UnsafeMutablePointer<CChar>?, _ count: Int) -> Bytes {
  unsafe Bytes(UnsafeRawPointer(data)?.assumingMemoryBound(to: UInt8.self), count: count)
}
