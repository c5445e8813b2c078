/// The name of an issuer's file in the store: SHA-256 of the issuer in hexadecimal digits, so that any issuer has one
/// and none reaches out of the directory; and behind it what the file is for.
struct StoreName: BitwiseCopyable {
  /// NUL-terminated.
  private var text = InlineArray<80, UInt8>(repeating: 0)

  static var digits: Int { 2 &* SHA256.length }

  /// `ending` has at most 15 octets.
  init(_ issuer: IssuerDigest, _ ending: StaticString) {
    var digest = InlineArray<32, UInt8>(repeating: 0)
    digest.withRoom { octets in
      issuer.write(into: octets, at: 0)
      text.withRoom { room in
        room.setHexadecimal(octets.bytes(SHA256.length))
        room.slice(from: 0, length: 79).copy(Bytes.of(ending), at: StoreName.digits)
      }
    }
  }

  /// Of a file that is of no issuer.
  init(_ name: StaticString) { text.withRoom { room in _ = room.copy(Bytes.of(name), at: 0) } }

  /// The same issuer's file for something else.
  func with(_ ending: StaticString) -> StoreName {
    var other = self
    other.text.withRoom { room in
      for place in (room.count &- StoreName.digits).times { room.set(0, at: StoreName.digits &+ place) }
      room.slice(from: 0, length: 79).copy(Bytes.of(ending), at: StoreName.digits)
    }
    return other
  }

  /// With the NUL behind it; for the length of `body`.
  func read<Result: ~Copyable, Failure: Error>(
    _ body: (UnsafePointer<CChar>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let span = text.span
    return try unsafe span.withUnsafeBytes { octets throws(Failure) in
      guard let start = octets.baseAddress else { return try unsafe body(CString.of("")) }
      return try unsafe body(start.assumingMemoryBound(to: CChar.self))
    }
  }
}
