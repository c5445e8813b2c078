internal import CCurl
internal import CKeyturnAPI
internal import CKeyturnFetch

/// One fetch from its start to its completion, over all its redirects. A borrowed pointer; the fetcher owns it.
@safe struct Flight: Equatable {
  /// What is made on a connection that had died is made once more, and not again.
  static var mostAttempts: UInt32 { 2 }

  private let link: UnsafeMutablePointer<FlightLink>
  private let record: UnsafeMutablePointer<FlightRecord>

  @unsafe init?(_ memory: UnsafeMutableRawPointer?) {
    guard let memory = unsafe memory else { return nil }
    unsafe link = memory.assumingMemoryBound(to: FlightLink.self)
    unsafe record = (memory + FlightLink.stride).assumingMemoryBound(to: FlightRecord.self)
  }

  @unsafe static func make(_ fetch: OpaquePointer, _ request: Request) -> Flight? {
    do throws(Status) {
      let url = try CText.of(request.url)
      let memory = try unsafe Memory.allocate(FlightLink.stride &+ MemoryLayout<FlightRecord>.size)
      let deadline = ckeyturnfetch_now() &+ Int64(request.timeout)
      unsafe memory.assumingMemoryBound(to: FlightLink.self).initialize(
        to: FlightLink(fetch: fetch, deadline: deadline))
      unsafe (memory + FlightLink.stride).assumingMemoryBound(to: FlightRecord.self).initialize(
        to: FlightRecord(request: request, url: url, deadline: deadline))
      return unsafe Flight(memory)
    } catch { return nil }
  }

  func free() {
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(link)
  }

  static func == (left: Flight, right: Flight) -> Bool { unsafe left.link == right.link }

  // MARK: - Under the fetcher's lock

  @unsafe var fetch: OpaquePointer { unsafe link.pointee.fetch }
  var deadline: Int64 { unsafe link.pointee.deadline }

  var isUnderWay: Bool {
    get { unsafe link.pointee.isUnderWay }
    nonmutating set { unsafe link.pointee.isUnderWay = newValue }
  }

  var isCancelled: Bool {
    get { unsafe link.pointee.isCancelled }
    nonmutating set { unsafe link.pointee.isCancelled = newValue }
  }

  var next: Flight? {
    get { unsafe link.pointee.next }
    nonmutating set { unsafe link.pointee.next = newValue }
  }

  // MARK: - A request and its answer: for the fetcher's own thread, as all that follows

  /// nil before `prepare`.
  @unsafe func withEasy<Result>(_ body: (UnsafeMutableRawPointer) -> Result) -> Result? {
    guard let easy = unsafe record.pointee.easy?.pointer else { return nil }
    return unsafe body(easy)
  }

  /// Makes the request that is to be sent next, or says why it is not sent.
  func prepare() -> jwks_fetch_failure {
    guard unsafe record.pointee.isAllowed() else { return JWKS_FETCH_REFUSED }
    do throws(Status) {
      unsafe record.pointee.answer.clear()
      unsafe record.pointee.attempts = 0
      unsafe record.pointee.hasRefusedAddress = false
      unsafe record.pointee.easy = try unsafe record.pointee.makeEasy(UnsafeMutableRawPointer(link))
      return JWKS_FETCH_ANSWERED
    } catch { return JWKS_FETCH_OTHER }
  }

  enum Verdict {
    case ended(jwks_fetch_failure)
    /// To be prepared and sent again.
    case redirected
  }

  /// What libcurl's code for the request means for the fetch.
  func judge(_ code: CURLcode) -> Verdict { unsafe record.pointee.judge(code) }

  @unsafe func withResponse(_ failure: jwks_fetch_failure, _ body: (UnsafePointer<jwks_response>) -> Void) {
    var response = unsafe jwks_response()
    unsafe response.size = MemoryLayout<jwks_response>.size
    unsafe response.failure = failure
    unsafe response.http_status = record.pointee.httpStatus
    unsafe response.requests = record.pointee.requests
    if failure == JWKS_FETCH_ANSWERED { unsafe record.pointee.answer.fill(&response) }
    unsafe body(&response)
  }

  // MARK: - While libcurl works

  func take(body: Bytes) -> Bool {
    note { () throws(Status) in try unsafe record.pointee.answer.add(toBody: body) }
  }

  func take(header: Bytes) -> Bool {
    note { () throws(Status) in try unsafe record.pointee.answer.add(header: header) }
  }

  /// Octets as they came, before they are decoded.
  func count(downloaded: Int) -> Bool {
    note { () throws(Status) in
      guard unsafe downloaded <= record.pointee.request.maxBody else { throw .tooLarge }
    }
  }

  @unsafe func mayConnect(to address: UnsafePointer<curl_sockaddr>) -> Bool {
    unsafe record.pointee.mayConnect(to: address)
  }

  /// libcurl makes a request again when a kept connection turns out to be dead, and does not tell.
  func countRequest() -> Bool {
    unsafe record.pointee.attempts &+= 1
    guard unsafe record.pointee.attempts <= Flight.mostAttempts else { return false }
    unsafe record.pointee.requests &+= 1
    return true
  }

  private func note(_ body: () throws(Status) -> Void) -> Bool {
    do throws(Status) {
      try body()
      return true
    } catch {
      unsafe record.pointee.noted = error == .tooLarge ? JWKS_FETCH_TOO_LARGE : JWKS_FETCH_OTHER
      return false
    }
  }
}

/// Under the fetcher's lock.
@safe private struct FlightLink {
  static var stride: Int { (MemoryLayout<FlightLink>.size &+ 63) & ~63 }

  let fetch: OpaquePointer
  let deadline: Int64
  var next: Flight?
  var isCancelled = false
  var isUnderWay = false
}

/// The fetcher's own thread's.
@safe struct FlightRecord: ~Copyable {
  let request: Request
  let deadline: Int64

  /// The request of the moment; nil while the flight waits.
  var easy: Easy?
  var url: CText
  /// False from the first redirect on that leads to another origin.
  var isAtOrigin = true
  /// False from the first https on.
  var mayUseHTTP: Bool
  var redirects = 0
  /// Of the request of the moment, and of all.
  var attempts: UInt32 = 0
  var requests: UInt32 = 0
  var answer: Answer
  var httpStatus: UInt32 = 0
  /// Why a callback has ended the request.
  var noted: jwks_fetch_failure?
  /// An address of the moment's URL was left out, because it is not public.
  var hasRefusedAddress = false

  init(request: Request, url: consuming CText, deadline: Int64) {
    self.request = request
    self.url = url
    self.deadline = deadline
    mayUseHTTP = request.allowsHTTP
    answer = Answer(maxBody: request.maxBody)
  }

  /// Whether the URL of the moment may be asked; what it may lead to is narrowed by it.
  mutating func isAllowed() -> Bool {
    // A proxy would resolve the name, and ask where it leads.
    guard unsafe !request.isPublicOnly || !isAtOrigin || request.proxy == nil,
      let address = unsafe WebAddress.read(url.pointer)
    else { return false }
    if address.isHTTPS { mayUseHTTP = false }
    return address.isHTTPS || (address.isHTTP && mayUseHTTP)
  }

  mutating func mayConnect(to address: UnsafePointer<curl_sockaddr>) -> Bool {
    guard request.isPublicOnly else { return true }
    let isPublic = unsafe isPublic(address)
    if !isPublic { hasRefusedAddress = true }
    return isPublic
  }

  private func isPublic(_ address: UnsafePointer<curl_sockaddr>) -> Bool {
    var (word, high, low): (UInt32, UInt64, UInt64) = (0, 0, 0)
    if unsafe ccurl_ipv4(address, &word) != 0 { return IPv4Address(word).isPublic }
    if unsafe ccurl_ipv6(address, &high, &low) != 0 { return IPv6Address(high: high, low: low).isPublic }
    return false
  }

  mutating func judge(_ code: CURLcode) -> Flight.Verdict {
    httpStatus = easy?.httpStatus ?? 0
    guard code == CURLE_OK else { return .ended(failure(code)) }
    guard isRedirect, let location = unsafe easy?.location else { return .ended(JWKS_FETCH_ANSWERED) }
    guard redirects < request.maxRedirects, unsafe follow(location) else { return .ended(JWKS_FETCH_REFUSED) }
    redirects &+= 1
    return .redirected
  }

  private mutating func failure(_ code: CURLcode) -> jwks_fetch_failure {
    if let noted { return noted }
    if attempts > Flight.mostAttempts { return JWKS_FETCH_BROKEN }
    // After a request it is not ours that libcurl does not support, but an answer without a header.
    if attempts > 0, code == CURLE_UNSUPPORTED_PROTOCOL { return JWKS_FETCH_BROKEN }
    if hasRefusedAddress, code == CURLE_COULDNT_CONNECT { return JWKS_FETCH_REFUSED }
    if let said = easy?.proxyStatus, said >= 300 { return JWKS_FETCH_CONNECT }
    return jwks_fetch_failure(code)
  }

  /// RFC 9110 section 15.4; 300 leaves the choice to a person, and 304 is an answer.
  private var isRedirect: Bool {
    switch httpStatus {
    case 301, 302, 303, 307, 308: true
    default: false
    }
  }

  private mutating func follow(_ location: UnsafePointer<CChar>) -> Bool {
    guard let text = try? CText.of(unsafe Bytes(cString: location)),
      let here = unsafe WebAddress.read(url.pointer), let there = unsafe WebAddress.read(text.pointer)
    else { return false }
    isAtOrigin = isAtOrigin && there.isOfOrigin(here)
    url = text
    return true
  }
}
