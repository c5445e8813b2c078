/// RFC 7638: SHA-256 over the members that a key cannot do without, in lexicographic order (section 3.2;
/// RFC 8037 section 2; RFC 9964 section 6).
enum Thumbprint {
  /// In Base64url.
  static var length: Int { 43 }

  /// Writes the thumbprint into `room`; `scratch` must bear the members' text.
  static func write(_ material: KeyMaterial, into room: Room, scratch: Room) throws(Status) {
    var digest = InlineArray<32, UInt8>(repeating: 0)
    let text = canonical(material, scratch)
    try digest.withRoom { octets throws(Status) in
      try SHA256.write(text, into: octets)
      _ = Base64URL.encode(octets.bytes(octets.count), into: room)
    }
  }

  /// Whether a text could be one.
  static func isOne(_ text: Bytes) -> Bool {
    var digest = InlineArray<32, UInt8>(repeating: 0)
    var span = digest.mutableSpan
    return unsafe span.withUnsafeMutableBufferPointer { digest in
      let octets = unsafe Room(digest.baseAddress, count: digest.count)
      return text.count == length && Base64URL.decode(text, into: octets) != nil
    }
  }

  private static func canonical(_ material: KeyMaterial, _ scratch: Room) -> Bytes {
    var text = Text(room: scratch)
    switch material.kind {
    case .rsa:
      text.write("{\"e\":\"", material.second)
      text.write("\",\"kty\":\"RSA\",\"n\":\"", material.first)
    case .p256, .p384, .p521, .secp256k1:
      text.write("{\"crv\":\"", name: material.kind)
      text.write("\",\"kty\":\"EC\",\"x\":\"", material.first)
      text.write("\",\"y\":\"", material.second)
    case .ed25519, .ed448:
      text.write("{\"crv\":\"", name: material.kind)
      text.write("\",\"kty\":\"OKP\",\"x\":\"", material.first)
    case .oct:
      text.write("{\"k\":\"", material.first)
      text.write("\",\"kty\":\"oct", .empty)
    case .mlDSA44, .mlDSA65, .mlDSA87:
      text.write("{\"alg\":\"", name: material.kind)
      text.write("\",\"kty\":\"AKP\",\"pub\":\"", material.first)
    }
    text.write("\"}", .empty)
    return text.written
  }

  private struct Text {
    let room: Room
    var end = 0

    init(room: Room) { self.room = room }

    var written: Bytes { room.bytes(end) }

    mutating func write(_ literal: StaticString, _ octets: Bytes) {
      append(Bytes.of(literal))
      end &+= Base64URL.encode(octets, into: room.slice(from: end))
    }

    mutating func write(_ literal: StaticString, name kind: KeyKind) {
      append(Bytes.of(literal))
      append(Bytes.of(kind.name))
    }

    private mutating func append(_ text: Bytes) {
      room.copy(text, at: end)
      end &+= text.count
    }
  }
}
