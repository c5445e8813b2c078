import CKeyturnAPI
import Foundation

/// A fetcher for a cache that is polled: tells when something has come, and what.
class Fetcher: @unchecked Sendable {
  private let condition = NSCondition()
  private var arrivals = 0
  private var kept: [Exchange] = []

  /// Requests that have ended, in order: of each URL and status the last.
  final var exchanges: [Exchange] { condition.withLock { kept } }

  /// Begins to fetch. Ends in `arrived`, then in jwks_fetch_complete.
  func start(_ fetch: OpaquePointer?, _ request: jwks_request) {}
  func cancel(_ fetch: OpaquePointer?) {}

  final func arrived(_ exchange: Exchange, then complete: () -> Void) {
    condition.withLock {
      kept.removeAll { $0.url == exchange.url && $0.status == exchange.status }
      kept.append(exchange)
    }
    complete()
    condition.withLock { arrivals += 1 }
    condition.broadcast()
  }

  /// Until something more has come than `seen`, or the time is over. How much has come then.
  final func wait(beyond seen: Int, milliseconds: UInt32) -> Int {
    let end = Date(timeIntervalSinceNow: Double(min(milliseconds, 60_000)) / 1_000)
    return condition.withLock {
      while arrivals == seen, condition.wait(until: end) {}
      return arrivals
    }
  }

  /// Valid as long as the fetcher.
  final var hook: jwks_fetcher {
    var hook = jwks_fetcher()
    hook.size = MemoryLayout<jwks_fetcher>.size
    hook.context = Unmanaged.passUnretained(self).toOpaque()
    hook.start = { context, fetch, request in
      guard let request else { return }
      Fetcher.of(context)?.start(fetch, request.pointee)
    }
    hook.cancel = { context, fetch in Fetcher.of(context)?.cancel(fetch) }
    return hook
  }

  private static func of(_ context: UnsafeMutableRawPointer?) -> Fetcher? {
    context.map { Unmanaged<Fetcher>.fromOpaque($0).takeUnretainedValue() }
  }
}

/// Asks nobody: gives again what was given once.
final class ReplayingFetcher: Fetcher, @unchecked Sendable {
  private let answers: [Exchange]

  init(_ answers: [Exchange]) { self.answers = answers }

  override func start(_ fetch: OpaquePointer?, _ request: jwks_request) {
    let url = String(cString: request.url)
    var none = Exchange(url: url)
    none.failure = JWKS_FETCH_REFUSED
    let answer = answers.last { $0.url == url } ?? none
    arrived(answer) { answer.complete(fetch) }
  }
}
