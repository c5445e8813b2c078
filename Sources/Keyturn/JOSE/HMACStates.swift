internal import COpenSSL

/// HMAC (RFC 2104) by one secret, for each hash: the states of both passes behind the padded secret, made once and
/// copied for each token. They tell as much as the secret itself, and are wiped with it.
@safe struct HMACStates {
  private let states: UnsafeMutablePointer<copenssl_sha2>

  static var size: Int { 6 &* MemoryLayout<copenssl_sha2>.stride }

  /// Memory of that size, aligned for any of it, which is to be filled.
  @unsafe init(_ base: UnsafeMutableRawPointer) {
    unsafe states = base.assumingMemoryBound(to: copenssl_sha2.self)
  }

  func fill(_ secret: Bytes) {
    fill(.sha256, secret)
    fill(.sha384, secret)
    fill(.sha512, secret)
  }

  private func inner(_ digest: Algorithm.Digest) -> UnsafeMutablePointer<copenssl_sha2> {
    switch digest {
    case .sha256: unsafe states
    case .sha384: unsafe states + 2
    case .sha512: unsafe states + 4
    }
  }

  private func fill(_ digest: Algorithm.Digest, _ secret: Bytes) {
    let octets = Int32(truncatingIfNeeded: digest.octets)
    unsafe copenssl_hmac_start(inner(digest), octets, secret.pointer, secret.count)
  }

  /// Writes the tag, as long as the hash, into `room`, which bears it.
  @_optimize(speed)
  func write(_ digest: Algorithm.Digest, of input: Bytes, into room: Room) {
    guard room.count >= digest.octets else { return }
    unsafe copenssl_hmac_end(
      inner(digest), Int32(truncatingIfNeeded: digest.octets), input.pointer, input.count, room.pointer)
  }
}
