import CKeyturnAPI
import Foundation

/// libkeyturn-fetch.so.0, listened to: its answers go on to the cache as they are.
final class NetworkFetcher: Fetcher, @unchecked Sendable {
  private struct Flight {
    let fetcher: NetworkFetcher
    var exchange: Exchange
    let began = ContinuousClock.now
  }

  /// A completion is told of its fetch alone.
  private static let lock = NSLock()
  nonisolated(unsafe) private static var flights: [OpaquePointer: Flight] = [:]

  private let library: FetchLibrary
  private var inner: jwks_fetcher

  private init(_ library: FetchLibrary, _ inner: jwks_fetcher) {
    (self.library, self.inner) = (library, inner)
  }

  static func open() throws(Complaint) -> NetworkFetcher {
    let library = try FetchLibrary()
    return NetworkFetcher(library, try library.new { NetworkFetcher.land($0, $1) })
  }

  deinit { library.stop(&inner) }

  override func start(_ fetch: OpaquePointer?, _ request: jwks_request) {
    guard let fetch else { return }
    let flight = Flight(fetcher: self, exchange: Exchange(url: String(cString: request.url)))
    NetworkFetcher.lock.withLock { NetworkFetcher.flights[fetch] = flight }
    var request = request
    inner.start(inner.context, fetch, &request)
  }

  override func cancel(_ fetch: OpaquePointer?) { inner.cancel(inner.context, fetch) }

  private static func land(_ fetch: OpaquePointer?, _ response: UnsafePointer<jwks_response>?) {
    guard let fetch, var flight = lock.withLock({ flights.removeValue(forKey: fetch) }) else { return }
    if let response { flight.exchange.take(response.pointee) }
    flight.exchange.milliseconds = Int64((ContinuousClock.now - flight.began) / .milliseconds(1))
    flight.fetcher.arrived(flight.exchange) { jwks_fetch_complete(fetch, response) }
  }
}
