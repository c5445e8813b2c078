import CKeyturnAPI
import Foundation

/// One request over a connection of its own, so that any worker may be the one that accepts it.
final class Visit: @unchecked Sendable {
  struct Options {
    var token: String?
    var allowHTTP = false
    var caFile: String?
  }

  private let end = DispatchSemaphore(value: 0)
  private let texts = Texts()
  private var exchange: Exchange

  private init(_ url: String) { exchange = Exchange(url: url) }

  /// Follows no redirect: what answers elsewhere is not the gateway.
  static func pay(_ url: String, _ options: Options, milliseconds: UInt32) throws(Complaint) -> Exchange {
    let library = try FetchLibrary()
    var fetcher = try library.new { fetch, response in Visit.land(fetch, response) }
    defer { library.stop(&fetcher) }
    let visit = Visit(url)
    var request = visit.request(options, milliseconds)
    // The library hands the fetch back, and no more: it may stand for anything.
    let fetch = OpaquePointer(Unmanaged.passRetained(visit).toOpaque())
    withUnsafePointer(to: &request) { request in
      fetcher.start(fetcher.context, fetch, request)
      visit.end.wait()
    }
    return visit.exchange
  }

  /// Its texts are the visit's.
  private func request(_ options: Options, _ milliseconds: UInt32) -> jwks_request {
    let headers = options.token.map { ["Authorization: Bearer \($0)"] } ?? []
    var request = jwks_request()
    request.size = MemoryLayout<jwks_request>.size
    request.url = texts.keep(exchange.url)
    (request.headers, request.header_count) = (texts.keep(headers), headers.count)
    request.ca_file = options.caFile.flatMap(texts.keep)
    request.allow_http = options.allowHTTP ? 1 : 0
    request.timeout_ms = milliseconds
    request.max_body = 1 << 26
    return request
  }

  private static func land(_ fetch: OpaquePointer?, _ response: UnsafePointer<jwks_response>?) {
    guard let fetch else { return }
    let visit = Unmanaged<Visit>.fromOpaque(UnsafeRawPointer(fetch)).takeRetainedValue()
    if let response { visit.exchange.take(response.pointee) }
    visit.end.signal()
  }
}
