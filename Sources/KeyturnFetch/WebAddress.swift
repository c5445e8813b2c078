internal import CCurl

/// A URL, taken apart by libcurl. One owner.
@safe struct WebAddress: ~Copyable {
  private let url: OpaquePointer

  private init(_ url: OpaquePointer) { unsafe self.url = url }

  deinit { unsafe curl_url_cleanup(url) }

  /// nil for what is no absolute URL, or holds a user or a password: credentials are told by header only.
  @unsafe static func read(_ text: UnsafePointer<CChar>?) -> WebAddress? {
    guard let url = unsafe curl_url() else { return nil }
    let address = unsafe WebAddress(url)
    let refuseUser = UInt32(truncatingIfNeeded: CURLU_DISALLOW_USER)
    guard unsafe curl_url_set(url, CURLUPART_URL, text, refuseUser) == CURLUE_OK else { return nil }
    return address
  }

  var isHTTPS: Bool { has(CURLUPART_SCHEME, Bytes("https")) }
  var isHTTP: Bool { has(CURLUPART_SCHEME, Bytes("http")) }

  /// RFC 6454 section 4.
  func isOfOrigin(_ other: borrowing WebAddress) -> Bool {
    shares(CURLUPART_SCHEME, other) && shares(CURLUPART_HOST, other) && shares(CURLUPART_PORT, other)
  }

  private func shares(_ part: CURLUPart, _ other: borrowing WebAddress) -> Bool {
    guard let theirs = other.part(part) else { return false }
    return has(part, theirs.bytes)
  }

  private func has(_ part: CURLUPart, _ value: Bytes) -> Bool {
    guard let mine = self.part(part) else { return false }
    return mine.bytes.equalsIgnoringCase(value)
  }

  private func part(_ part: CURLUPart) -> AddressPart? {
    var text: UnsafeMutablePointer<CChar>?
    let withPort = UInt32(truncatingIfNeeded: CURLU_DEFAULT_PORT)
    guard unsafe curl_url_get(url, part, &text, withPort) == CURLUE_OK, let text = unsafe text else {
      return nil
    }
    return unsafe AddressPart(text)
  }
}

/// One owner of what libcurl has given.
@safe private struct AddressPart: ~Copyable {
  private let text: UnsafeMutablePointer<CChar>

  @unsafe init(_ text: UnsafeMutablePointer<CChar>) { unsafe self.text = text }

  deinit { unsafe curl_free(text) }

  var bytes: Bytes { unsafe Bytes(cString: text) }
}
