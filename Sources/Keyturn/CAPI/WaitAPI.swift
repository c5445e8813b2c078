internal import CKeyturn
public import CKeyturnAPI

@_cdecl("jwks_loop_new") @implementation
public func jwks_loop_new(
  _ cache: OpaquePointer?, _ options: UnsafePointer<jwks_loop_options>?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> jwt_status {
  answer(nil) { () throws(Fault) in
    guard let cache = unsafe Cache(cache), let out = unsafe out else { throw .null("cache") }
    var known = unsafe jwks_loop_options()
    if let options = unsafe options { try unsafe Options.read(options, into: &known) }
    let call = unsafe known.notify.map { unsafe LoopCall($0, context: known.context) }
    do throws(Status) {
      unsafe out.pointee = OpaquePointer(try Loop.make(cache, call).memory)
    } catch { throw error == .forked ? .forked : error == .noThread ? .noThread : .noMemory }
  }
}

@_cdecl("jwks_loop_release") @implementation
public func jwks_loop_release(_ loop: OpaquePointer?) {
  unsafe Loop(loop)?.close()
}

@_cdecl("jwks_loop_fd") @implementation
public func jwks_loop_fd(_ loop: OpaquePointer?) -> Int32 {
  unsafe Loop(loop)?.descriptor ?? -1
}

@_cdecl("jwks_loop_next") @implementation
public func jwks_loop_next(_ loop: OpaquePointer?) -> UnsafeMutableRawPointer? {
  unsafe Loop(loop)?.next()
}

@_cdecl("jwt_wait") @implementation
public func jwt_wait(
  _ pending: OpaquePointer?, _ loop: OpaquePointer?, _ user: UnsafeMutableRawPointer?,
  _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> jwt_status {
  guard let (issuer, stamp) = unsafe ResultHandle(pending)?.pending, let loop = unsafe Loop(loop),
    let user = unsafe user, let out = unsafe out, loop.cache == issuer.cache
  else { return JWKS_INVALID_ARGUMENT }
  do throws(Status) {
    unsafe out.pointee = OpaquePointer(try issuer.cache.park(issuer, stamp: stamp, loop, user).memory)
    return JWT_OK
  } catch {
    return error.code
  }
}

@_cdecl("jwt_wait_cancel") @implementation
public func jwt_wait_cancel(_ waiter: OpaquePointer?) {
  unsafe Waiter(waiter)?.cancel()
}

@_cdecl("jwt_verify_wait") @implementation
public func jwt_verify_wait(
  _ policy: OpaquePointer?, _ token: UnsafePointer<CChar>?, _ len: Int, _ timeout_ms: UInt32,
  _ result: OpaquePointer?
) -> jwt_status {
  var patience: Patience?
  while true {
    let status = unsafe jwt_verify(policy, token, len, result)
    guard status == JWKS_PENDING, let handle = unsafe ResultHandle(result),
      let (issuer, stamp) = handle.pending
    else { return status }
    if patience == nil { patience = Patience(issuer, atMost: timeout_ms) }
    guard patience?.wait(issuer, stamp) == true else {
      return handle.fill { _ throws(Status) in throw .keysUnavailable }
    }
  }
}

/// A thread that waits: first for the flight under way, then for the further one that it may have asked for.
private struct Patience {
  private let end: Int64
  private var flights = 2

  init(_ issuer: Issuer, atMost timeout: UInt32) {
    let whole = timeout != 0 ? Int64(timeout) : issuer.source.settings.fetchTimeout
    end = ckeyturn_steady_time() &+ whole
  }

  /// Whether it is worth asking again.
  mutating func wait(_ issuer: Issuer, _ stamp: UInt64) -> Bool {
    let left = end &- ckeyturn_steady_time()
    guard left > 0, flights > 0 else { return false }
    do throws(Status) {
      let loop = try unsafe Loop.make(issuer.cache, nil)
      defer { loop.close() }
      let waiter = try unsafe issuer.cache.park(issuer, stamp: stamp, loop, loop.memory)
      flights &-= 1
      defer { waiter.cancel() }
      return loop.wait(atMost: left)
    } catch { return error == .retry }
  }
}

extension Loop: Handle {}
extension Waiter: Handle {}
