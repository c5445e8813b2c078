internal import CKeyturn
internal import CKeyturnAPI

/// libkeyturn-fetch.so.0, for hosts that have given no fetcher. It is opened when something is to be fetched, and
/// never before.
enum FetchLibrary {
  private typealias New =
    @convention(c) (
      Complete, UnsafeMutablePointer<jwks_fetcher>?, UnsafeMutablePointer<jwks_error>?
    ) -> jwt_status
  private typealias Stop = @convention(c) (UnsafeMutablePointer<jwks_fetcher>?) -> Void
  private typealias Complete =
    @convention(c) (OpaquePointer?, UnsafePointer<jwks_response>?) -> Void

  /// A fetcher with a thread of its own, until it is told to end.
  @inline(never)
  static func open() throws(Fault) -> FetchHook {
    guard let library = unsafe ckeyturn_library_open(CString.of("libkeyturn-fetch.so.0")),
      let new = unsafe ckeyturn_library_function(library, CString.of("keyturn_fetch_new")),
      let stop = unsafe ckeyturn_library_function(library, CString.of("keyturn_fetch_stop"))
    else {
      throw Fault(
        .noFetcher,
        "libkeyturn-fetch.so.0 cannot be loaded, neither from beside libkeyturn nor from where the loader looks.",
        option: "fetcher")
    }
    var made = unsafe jwks_fetcher()
    unsafe made.size = MemoryLayout<jwks_fetcher>.size
    let status = unsafe unsafeBitCast(new, to: New.self)(jwks_fetch_complete, &made, nil)
    guard status == JWT_OK, var hook = try unsafe FetchHook(&made) else { throw .noThread }
    unsafe hook.hostStop = UnsafeRawPointer(stop)
    unsafe hook.stop = { stop, context in
      var made = unsafe jwks_fetcher()
      unsafe made.size = MemoryLayout<jwks_fetcher>.size
      unsafe made.context = unsafe context
      unsafe unsafeBitCast(stop, to: Stop.self)(&made)
    }
    return hook
  }
}
