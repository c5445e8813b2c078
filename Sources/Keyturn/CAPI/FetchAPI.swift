public import CKeyturnAPI

@_cdecl("jwks_fetch_complete") @implementation
public func jwks_fetch_complete(_ fetch: OpaquePointer?, _ response: UnsafePointer<jwks_response>?) {
  guard let fetch = unsafe Fetch(fetch) else { return }
  unsafe Cache(fetch.owner).completed(fetch, with: FetchReply(response, atMost: fetch.request.maximumBody))
}

@_cdecl("jwks_fetch_set_user") @implementation
public func jwks_fetch_set_user(_ fetch: OpaquePointer?, _ user: UnsafeMutableRawPointer?) {
  unsafe Fetch(fetch)?.user = user
}

@_cdecl("jwks_fetch_user") @implementation
public func jwks_fetch_user(_ fetch: OpaquePointer?) -> UnsafeMutableRawPointer? {
  unsafe Fetch(fetch)?.user
}

@_cdecl("jwks_cache_poll") @implementation
public func jwks_cache_poll(_ cache: OpaquePointer?, _ next_ms: UnsafeMutablePointer<UInt32>?) -> jwt_status {
  guard let cache = unsafe Cache(cache) else { return JWKS_INVALID_ARGUMENT }
  do throws(Status) {
    let next = try cache.poll()
    if let next_ms = unsafe next_ms { unsafe next_ms.pointee = UInt32(clamping: next) }
    return JWT_OK
  } catch {
    return error.code
  }
}

extension Fetch {
  @unsafe init?(_ handle: OpaquePointer?) {
    guard let handle = unsafe handle else { return nil }
    unsafe self.init(UnsafeMutableRawPointer(handle))
  }
}

extension FetchReply {
  /// Copies what is needed of it.
  @unsafe fileprivate init(_ response: UnsafePointer<jwks_response>?, atMost maximum: Int) {
    guard let response = unsafe response?.pointee, unsafe response.size >= MemoryLayout<jwks_response>.size
    else {
      self.init(FetchAnswer(failure: FetchAnswer.other))
      return
    }
    var answer = unsafe FetchAnswer(requests: Int(response.requests))
    guard unsafe response.failure == JWKS_FETCH_ANSWERED else {
      answer.failure = unsafe UInt8(clamping: response.failure.rawValue)
      self.init(answer)
      return
    }
    answer.status = unsafe Int(response.http_status)
    if let value = unsafe Bytes(response.cache_control) { answer.freshness.readCacheControl(value) }
    if let value = unsafe Bytes(response.age) { answer.freshness.readAge(value) }
    if let value = unsafe Bytes(response.date) { answer.freshness.readDate(value) }
    if let value = unsafe Bytes(response.expires) { answer.freshness.readExpires(value) }
    if let value = unsafe Bytes(response.retry_after) { answer.freshness.readRetryAfter(value) }
    self.init(
      answer, body: unsafe Bytes(response.body) ?? .empty, atMost: maximum,
      etag: unsafe Bytes(response.etag) ?? .empty,
      lastModified: unsafe Bytes(response.last_modified) ?? .empty)
  }
}

extension Bytes {
  /// nil for an empty one.
  @unsafe fileprivate init?(_ span: keyturn_span) {
    guard let data = unsafe span.data, unsafe span.len > 0 else { return nil }
    unsafe self.init(data, span.len)
  }
}

// MARK: - The hook

extension FetchHook {
  fileprivate typealias Start =
    @convention(c) (
      UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<jwks_request>?
    ) -> Void
  fileprivate typealias Cancel = @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?) -> Void

  /// nil for NULL.
  @unsafe init?(_ fetcher: UnsafePointer<jwks_fetcher>?) throws(Fault) {
    guard let fetcher = unsafe fetcher else { return nil }
    var known = unsafe jwks_fetcher()
    do throws(Fault) { try unsafe Options.read(fetcher, into: &known) } catch {
      throw Fault(.invalidOption, error.sentence, option: "fetcher.size")
    }
    guard let start = unsafe known.start else { throw OptionName("fetcher.start").refused("It is required.") }
    guard let cancel = unsafe known.cancel else {
      throw OptionName("fetcher.cancel").refused("It is required.")
    }
    unsafe self.init(
      start: { memory in unsafe Fetch(memory).callStart() },
      cancel: { memory in unsafe Fetch(memory).callCancel() },
      hostStart: unsafeBitCast(start, to: UnsafeRawPointer.self),
      hostCancel: unsafeBitCast(cancel, to: UnsafeRawPointer.self), context: known.context,
      requestSize: MemoryLayout<jwks_request>.size)
  }
}

extension Fetch {
  fileprivate func callStart() {
    let host = unsafe unsafeBitCast(hook.hostStart, to: FetchHook.Start.self)
    guard let place = unsafe request.place?.assumingMemoryBound(to: jwks_request.self) else { return }
    unsafe place.initialize(to: jwks_request(request))
    unsafe host(hook.context, OpaquePointer(memory), place)
  }

  fileprivate func callCancel() {
    let host = unsafe unsafeBitCast(hook.hostCancel, to: FetchHook.Cancel.self)
    unsafe host(hook.context, OpaquePointer(memory))
  }
}

extension jwks_request {
  /// Borrows the texts.
  @unsafe fileprivate init(_ request: FetchRequest) {
    unsafe self.init()
    unsafe size = MemoryLayout<jwks_request>.size
    unsafe url = request.url.string
    unsafe if_none_match = request.etag.string
    unsafe if_modified_since = request.lastModified.string
    unsafe headers = request.headers.pointer.map {
      unsafe UnsafeRawPointer($0).assumingMemoryBound(to: UnsafePointer<CChar>?.self)
    }
    unsafe header_count = request.headers.count
    unsafe ca_file = request.caFile.string
    unsafe client_certificate = request.clientCertificate.string
    unsafe client_key = request.clientKey.string
    unsafe proxy = request.proxy.string
    unsafe connect_timeout_ms = UInt32(clamping: request.connectTimeout)
    unsafe timeout_ms = UInt32(clamping: request.timeout)
    unsafe max_body = UInt32(clamping: request.maximumBody)
    unsafe max_redirects = UInt32(clamping: request.maxRedirects)
    unsafe allow_http = request.allowsHTTP ? 1 : 0
    unsafe public_only = request.isPublicOnly ? 1 : 0
  }
}
