import CKeyturnAPI
import Foundation

/// libkeyturn-fetch.so.0, which is loaded when something is to be fetched.
struct FetchLibrary {
  typealias Complete = @convention(c) (OpaquePointer?, UnsafePointer<jwks_response>?) -> Void
  private typealias New =
    @convention(c) (
      Complete, UnsafeMutablePointer<jwks_fetcher>?, UnsafeMutablePointer<jwks_error>?
    ) -> jwt_status

  let stop: @convention(c) (UnsafeMutablePointer<jwks_fetcher>?) -> Void
  private let new: New

  init() throws(Complaint) {
    guard let library = FetchLibrary.open(), let new = dlsym(library, "keyturn_fetch_new"),
      let stop = dlsym(library, "keyturn_fetch_stop")
    else {
      throw Complaint(
        "libkeyturn-fetch.so.0 cannot be loaded, neither from beside the tool nor from where the loader looks"
      )
    }
    self.new = unsafeBitCast(new, to: New.self)
    self.stop = unsafeBitCast(stop, to: (@convention(c) (UnsafeMutablePointer<jwks_fetcher>?) -> Void).self)
  }

  /// To be stopped by the caller.
  func new(_ complete: Complete) throws(Complaint) -> jwks_fetcher {
    var fetcher = jwks_fetcher()
    fetcher.size = MemoryLayout<jwks_fetcher>.size
    try Complaint.unlessDone { error in new(complete, &fetcher, &error) }
    return fetcher
  }

  /// From beside the tool, or where the loader looks for it.
  private static func open() -> UnsafeMutableRawPointer? {
    let name = "libkeyturn-fetch.so.0"
    let tool = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    let beside = tool.deletingLastPathComponent().appendingPathComponent(name).path
    return dlopen(beside, RTLD_NOW) ?? dlopen(name, RTLD_NOW)
  }
}
