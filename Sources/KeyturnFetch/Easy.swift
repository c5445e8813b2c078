internal import CCurl

/// A request of libcurl's, with the list of its header fields. One owner.
///
/// An option that cannot be set ends the fetch: none is made with less care than was asked for.
@safe struct Easy: ~Copyable {
  private let handle: UnsafeMutableRawPointer
  private var fields: UnsafeMutablePointer<curl_slist>?

  private init(_ handle: UnsafeMutableRawPointer) {
    unsafe self.handle = handle
    unsafe fields = nil
  }

  deinit {
    unsafe curl_easy_cleanup(handle)
    unsafe curl_slist_free_all(fields)
  }

  static func make() throws(Status) -> Easy {
    guard let handle = unsafe curl_easy_init() else { throw .noMemory }
    return unsafe Easy(handle)
  }

  @unsafe var pointer: UnsafeMutableRawPointer { unsafe handle }

  func set(_ option: CURLoption, _ value: Int) throws(Status) {
    try check(unsafe ccurl_set_number(handle, option, value))
  }

  func set(large option: CURLoption, _ value: Int) throws(Status) {
    try check(unsafe ccurl_set_large_number(handle, option, curl_off_t(value)))
  }

  func set(_ option: CURLoption, _ text: StaticString) throws(Status) {
    try unsafe set(option, CString.of(text))
  }

  /// nil unsets it.
  @unsafe func set(_ option: CURLoption, _ text: UnsafePointer<CChar>?) throws(Status) {
    try check(unsafe ccurl_set_text(handle, option, text))
  }

  mutating func add(field: borrowing CText) throws(Status) {
    guard let longer = unsafe curl_slist_append(fields, field.pointer) else { throw .noMemory }
    unsafe fields = longer
    try check(unsafe ccurl_set_list(handle, CURLOPT_HTTPHEADER, fields))
  }

  /// Every callback gets `context`.
  @unsafe func listen(
    _ context: UnsafeMutableRawPointer, body: ccurl_take, header: ccurl_take, progress: ccurl_progress,
    connection: ccurl_connection, request: ccurl_request
  ) throws(Status) {
    try check(unsafe ccurl_set_context(handle, context))
    try check(unsafe ccurl_on_body(handle, body, context))
    try check(unsafe ccurl_on_header(handle, header, context))
    try check(unsafe ccurl_on_progress(handle, progress, context))
    try check(unsafe ccurl_before_connection(handle, connection, context))
    try check(unsafe ccurl_before_request(handle, request, context))
  }

  var httpStatus: UInt32 { number(CURLINFO_RESPONSE_CODE) }
  /// What a proxy said to CONNECT.
  var proxyStatus: UInt32 { number(CURLINFO_HTTP_CONNECTCODE) }

  /// The absolute URL that a Location field leads to.
  @unsafe var location: UnsafePointer<CChar>? { unsafe ccurl_redirect(handle) }

  private func number(_ info: CURLINFO) -> UInt32 {
    UInt32(truncatingIfNeeded: unsafe ccurl_number(handle, info))
  }

  private func check(_ code: CURLcode) throws(Status) {
    guard code == CURLE_OK else { throw .invalidOption }
  }
}
