import CKeyturnAPI
import Foundation

/// A cache, by one owner; and what its calls say when they fail, as a sentence.
final class CacheHandle {
  let cache: OpaquePointer
  /// What the cache calls, where the tool is told what it fetches.
  let fetcher: Fetcher?
  private let clock: Clock?

  /// Calls `change` with the options before the cache is made.
  init(
    fetcher: Fetcher? = nil, clock: Clock? = nil, _ change: (inout jwks_cache_options) -> Void = { _ in }
  ) throws(Complaint) {
    (self.fetcher, self.clock) = (fetcher, clock)
    var options = jwks_cache_options()
    options.size = MemoryLayout<jwks_cache_options>.size
    clock?.set(&options)
    change(&options)
    var made: OpaquePointer?
    var hook = fetcher?.hook ?? jwks_fetcher()
    try Complaint.unlessDone { error in
      withUnsafePointer(to: &hook) { hook in
        if fetcher != nil { options.fetcher = hook }
        return jwks_cache_new(&options, &made, &error)
      }
    }
    guard let made else { throw Complaint("jwks_cache_new: no cache") }
    cache = made
  }

  deinit { jwks_cache_release(cache) }

  func start() throws(Complaint) {
    try Complaint.unlessDone { error in jwks_cache_start(cache, &error) }
  }

  /// Ends the thread, and what it has under way.
  func stop() { jwks_cache_stop(cache) }

  func add(_ settings: IssuerSettings) throws(Complaint) -> IssuerHandle {
    var issuer: OpaquePointer?
    try Complaint.unlessDone { error in
      settings.withOptions { options in jwks_cache_add_issuer(cache, &options, &issuer, &error) }
    }
    guard let issuer else { throw Complaint("jwks_cache_add_issuer: no issuer") }
    return IssuerHandle(issuer, of: self)
  }

  /// Does the engine's work until `isDone`, for `seconds` at most.
  func poll(for seconds: Double, until isDone: () -> Bool) throws(Complaint) {
    let end = Date(timeIntervalSinceNow: seconds)
    var seen = 0
    while !isDone() {
      var next: UInt32 = 0
      let status = jwks_cache_poll(cache, &next)
      guard status == JWT_OK else { throw Complaint(String(cString: jwt_status_message(status))) }
      let left = end.timeIntervalSinceNow
      guard !isDone(), left > 0 else { return }
      let time = min(next, UInt32(left * 1_000) + 1)
      if let fetcher { seen = fetcher.wait(beyond: seen, milliseconds: time) } else { usleep(time * 1_000) }
    }
  }
}

/// Clocks of a cache that go by another time than the system's, by so many seconds, or stand still at one.
final class Clock {
  private let shift: Int64
  var moment: Int64?

  /// As if everything happened so long ago.
  init(secondsAgo: Int64) { (shift, moment) = (secondsAgo, nil) }
  /// Tokens are judged as they would be at that moment, in Unix seconds.
  init(at moment: Int64) { (shift, self.moment) = (0, moment) }

  static var now: Int64 { Int64(Date().timeIntervalSince1970) }

  /// Valid as long as the clock.
  fileprivate func set(_ options: inout jwks_cache_options) {
    let context = Unmanaged.passUnretained(self).toOpaque()
    options.clock = { Clock.of($0).map { $0.moment ?? Clock.now - $0.shift } ?? .max }
    options.clock_context = context
    options.monotonic = { Clock.of($0).map { Clock.sinceBoot - $0.shift * 1_000 } ?? .max }
    options.monotonic_context = context
  }

  private static func of(_ context: UnsafeMutableRawPointer?) -> Clock? {
    context.map { Unmanaged<Clock>.fromOpaque($0).takeUnretainedValue() }
  }

  private static var sinceBoot: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
  }
}

extension Complaint {
  /// What the library says is wrong, under the name of the option that it is about.
  static func unlessDone(_ call: (inout jwks_error) -> jwt_status) throws(Complaint) {
    var error = jwks_error()
    error.size = MemoryLayout<jwks_error>.size
    let status = call(&error)
    guard status != JWT_OK else { return }
    let option = withUnsafeBytes(of: &error.option) { String(terminated: $0) }
    let message = withUnsafeBytes(of: &error.message) { String(terminated: $0) }
    let sentence = message.isEmpty ? String(cString: jwt_status_message(status)) : message
    throw Complaint(option.isEmpty ? sentence : "\(option): \(sentence)")
  }
}
