internal import CKeyturnAPI
public import CKeyturnFetchAPI

@_cdecl("keyturn_fetch_new") @implementation
public func keyturn_fetch_new(
  _ complete: keyturn_fetch_complete?, _ out: UnsafeMutablePointer<jwks_fetcher>?,
  _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status {
  unsafe answer(error) { () throws(Fault) in
    guard let complete = unsafe complete else { throw .null("complete") }
    guard let out = unsafe out else { throw .null("out") }
    guard unsafe out.pointee.size >= MemoryLayout<jwks_fetcher>.size else {
      throw Fault(.invalidArgument, "Its size is not set.", option: "out")
    }
    let fetcher = try unsafe Fetcher.make(complete)
    unsafe out.pointee = jwks_fetcher(
      size: out.pointee.size, start: startFetch, cancel: cancelFetch, context: fetcher.memory)
  }
}

@_cdecl("keyturn_fetch_stop") @implementation
public func keyturn_fetch_stop(_ fetcher: UnsafeMutablePointer<jwks_fetcher>?) {
  guard let fetcher = unsafe fetcher else { return }
  unsafe Fetcher(fetcher.pointee.context)?.stop()
  unsafe fetcher.pointee = jwks_fetcher(size: fetcher.pointee.size, start: nil, cancel: nil, context: nil)
}

private func startFetch(
  _ context: UnsafeMutableRawPointer?, _ fetch: OpaquePointer?, _ request: UnsafePointer<jwks_request>?
) {
  guard let fetcher = unsafe Fetcher(context), let fetch = unsafe fetch else { return }
  unsafe fetcher.start(fetch, request)
}

private func cancelFetch(_ context: UnsafeMutableRawPointer?, _ fetch: OpaquePointer?) {
  guard let fetcher = unsafe Fetcher(context), let fetch = unsafe fetch else { return }
  unsafe fetcher.cancel(fetch)
}

extension Fault {
  fileprivate static func null(_ argument: StaticString) -> Fault {
    Fault(.invalidArgument, "It is NULL.", option: argument)
  }
}
