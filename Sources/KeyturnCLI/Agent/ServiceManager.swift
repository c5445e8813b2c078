import Foundation

/// Tells systemd how far we are, where it wants to know (sd_notify(3)): a datagram, and no library.
enum ServiceManager {
  static func ready() { tell("READY=1") }
  static func reloading() {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    tell("RELOADING=1\nMONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1_000)")
  }
  static func stopping() { tell("STOPPING=1") }

  private static func tell(_ text: String) {
    guard let place = ProcessInfo.processInfo.environment["NOTIFY_SOCKET"], place.utf8.count < 108,
      place.hasPrefix("/") || place.hasPrefix("@")
    else { return }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { path in
      path.copyBytes(from: place.utf8)
      if place.hasPrefix("@") { path[0] = 0 }  // a name that no file system has
    }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + place.utf8.count)
    _ = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL), $0, length)
      }
    }
  }
}
