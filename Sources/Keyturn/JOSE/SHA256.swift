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
  /// The first 64 bits, by which all processes know a document again.
  static func word(of text: Bytes) throws(Status) -> UInt64 {
    var digest = InlineArray<32, UInt8>(repeating: 0)
    return try digest.withRoom { octets throws(Status) in
      try write(text, into: octets)
      return octets.bytes(length).word(at: 0) ?? 0
    }
  }
}
