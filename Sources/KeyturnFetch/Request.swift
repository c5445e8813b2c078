internal import CKeyturn
internal import CKeyturnAPI

/// What to fetch, as a host asks it; its texts are borrowed until the completion. Zero is the default.
@safe struct Request {
  private static var mostHeaders: Int { 256 }
  private static var largestStruct: Int { 4_096 }

  private let given: jwks_request

  /// nil for one without a URL or of another size, or one that says what this release does not know.
  @unsafe static func read(_ given: UnsafePointer<jwks_request>?) -> Request? {
    guard let given = unsafe given else { return nil }
    let raw = unsafe UnsafeRawPointer(given)
    let mine = unsafe MemoryLayout<jwks_request>.size
    let size = unsafe raw.load(as: Int.self)
    guard size >= mine, size <= largestStruct else { return nil }
    let tail = unsafe Bytes((raw + mine).assumingMemoryBound(to: UInt8.self), count: size &- mine)
    guard tail.isAllZero, unsafe given.pointee.url != nil, unsafe given.pointee.header_count <= mostHeaders
    else {
      return nil
    }
    return unsafe Request(given: given.pointee)
  }

  var url: Bytes { unsafe text(given.url) }
  var ifNoneMatch: Bytes { unsafe text(given.if_none_match) }
  var ifModifiedSince: Bytes { unsafe text(given.if_modified_since) }

  var headerCount: Int { unsafe given.headers == nil ? 0 : given.header_count }

  /// "Name: value"; empty for one that is NULL.
  func header(at position: Int) -> Bytes {
    guard position >= 0, position < headerCount, let headers = unsafe given.headers else { return .empty }
    return unsafe text(headers[position])
  }

  @unsafe var caFile: UnsafePointer<CChar>? { unsafe given.ca_file }
  @unsafe var clientCertificate: UnsafePointer<CChar>? { unsafe given.client_certificate }
  @unsafe var clientKey: UnsafePointer<CChar>? { unsafe given.client_key }
  @unsafe var proxy: UnsafePointer<CChar>? { unsafe given.proxy }

  var connectTimeout: Int { unsafe Request.count(given.connect_timeout_ms, default: 2_000) }
  var timeout: Int { unsafe Request.count(given.timeout_ms, default: 5_000) }
  var maxBody: Int { unsafe Request.count(given.max_body, default: 524_288) }
  var maxRedirects: Int { unsafe Int(given.max_redirects) }
  /// Nothing but 1 opens it.
  var allowsHTTP: Bool { unsafe given.allow_http == 1 }

  var isPublicOnly: Bool { unsafe given.public_only != 0 }

  private static func count(_ given: UInt32, default standard: Int) -> Int {
    given == 0 ? standard : Int(given)
  }

  private func text(_ text: UnsafePointer<CChar>?) -> Bytes { unsafe Bytes(cString: text) }
}

extension Bytes {
  /// A text of C's, without its NUL; empty for NULL.
  @unsafe init(cString text: UnsafePointer<CChar>?) {
    let count = unsafe text.map { unsafe strlen($0) } ?? 0
    unsafe self.init(UnsafeRawPointer(text)?.assumingMemoryBound(to: UInt8.self), count: count)
  }

  /// Ends no header field and begins no other.
  var fitsInHeader: Bool { consists { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 } }

  /// Without the white space around it (RFC 9110 section 5.5).
  var trimmed: Bytes {
    var start = 0
    var end = count
    while start < end, isSpace(at: start) { start &+= 1 }
    while end > start, isSpace(at: end &- 1) { end &-= 1 }
    return slice(from: start, length: end &- start)
  }

  private func isSpace(at position: Int) -> Bool {
    switch byte(at: position) {
    case 0x20, 0x09, 0x0d, 0x0a: true
    default: false
    }
  }
}
