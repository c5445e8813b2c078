import CKeyturnAPI
import Foundation

/// libkeyturn-fetch.so.0, listened to: its answers go on to the cache as they are.
final class NetworkFetcher: Fetcher, @unchecked Sendable {
  private typealias Complete =
    @convention(c) (OpaquePointer?, UnsafePointer<jwks_response>?) -> Void
  private typealias New =
    @convention(c) (
      Complete, UnsafeMutablePointer<jwks_fetcher>?, UnsafeMutablePointer<jwks_error>?
    ) -> jwt_status
  private typealias Stop = @convention(c) (UnsafeMutablePointer<jwks_fetcher>?) -> Void

  private struct Flight {
    let fetcher: NetworkFetcher
    var exchange: Exchange
    let began = ContinuousClock.now
  }

  /// A completion is told of its fetch alone.
  private static let lock = NSLock()
  nonisolated(unsafe) private static var flights: [OpaquePointer: Flight] = [:]

  private var inner = jwks_fetcher()
  private let stop: Stop

  private init(stop: @escaping Stop) { self.stop = stop }

  static func open() throws(Complaint) -> NetworkFetcher {
    guard let library = library(), let new = dlsym(library, "keyturn_fetch_new"),
      let stop = dlsym(library, "keyturn_fetch_stop")
    else {
      throw Complaint(
        "libkeyturn-fetch.so.0 cannot be loaded, neither from beside the tool nor from where the loader looks"
      )
    }
    let fetcher = NetworkFetcher(stop: unsafeBitCast(stop, to: Stop.self))
    fetcher.inner.size = MemoryLayout<jwks_fetcher>.size
    try Complaint.unlessDone { error in
      unsafeBitCast(new, to: New.self)(
        { fetch, response in NetworkFetcher.land(fetch, response) }, &fetcher.inner, &error)
    }
    return fetcher
  }

  deinit { stop(&inner) }

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

  /// From beside the tool, or where the loader looks for it.
  private static func library() -> UnsafeMutableRawPointer? {
    let name = "libkeyturn-fetch.so.0"
    let tool = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    let beside = tool.deletingLastPathComponent().appendingPathComponent(name).path
    return dlopen(beside, RTLD_NOW) ?? dlopen(name, RTLD_NOW)
  }
}
