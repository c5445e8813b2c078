internal import COpenSSL

/// FIPS 180-4.
enum SHA256 {
  /// In octets.
  static var length: Int { 32 }

  /// Writes the digest of a text into `room`, which bears it.
  static func write(_ text: Bytes, into room: Room) throws(Status) {
    let errors = ErrorQueue.mark()
    defer { errors.restore() }
    guard room.count >= length,
      unsafe EVP_Q_digest(
        nil, CString.of("SHA256"), nil, text.pointer, text.count, room.pointer, nil) == 1
    else { throw .noMemory }
  }
}
