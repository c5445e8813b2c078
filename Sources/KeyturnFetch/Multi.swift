internal import CCurl

/// libcurl's event loop, with the connections it keeps. One owner, in whose thread all but `wake` is called.
@safe struct Multi: ~Copyable {
  private static var mostIdleConnections: Int { 16 }

  private let handle: UnsafeMutableRawPointer

  private init(_ handle: UnsafeMutableRawPointer) { unsafe self.handle = handle }

  deinit { _ = unsafe curl_multi_cleanup(handle) }

  static func make() throws(Status) -> Multi {
    guard curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK, let handle = unsafe curl_multi_init() else {
      throw .noMemory
    }
    let multi = unsafe Multi(handle)
    guard unsafe ccurl_keep_connections(handle, mostIdleConnections) == CURLM_OK else { throw .noMemory }
    return multi
  }

  func add(_ flight: Flight) -> Bool {
    unsafe flight.withEasy { easy in unsafe curl_multi_add_handle(handle, easy) == CURLM_OK } ?? false
  }

  /// Nothing happens for one that is not in it. Never waits: the handle says QUICK_EXIT.
  func remove(_ flight: Flight) {
    _ = unsafe flight.withEasy { easy in unsafe curl_multi_remove_handle(handle, easy) }
  }

  func perform() {
    var running: Int32 = 0
    _ = unsafe curl_multi_perform(handle, &running)
  }

  func nextDone() -> (Flight, CURLcode)? {
    var code = CURLE_OK
    guard let easy = unsafe ccurl_done(handle, &code), let flight = unsafe Flight(ccurl_context(easy)) else {
      return nil
    }
    return (flight, code)
  }

  /// At most so many milliseconds.
  func wait(_ milliseconds: Int) {
    _ = unsafe curl_multi_poll(handle, nil, 0, Int32(truncatingIfNeeded: milliseconds), nil)
  }

  /// From any thread.
  func wake() { _ = unsafe curl_multi_wakeup(handle) }
}
