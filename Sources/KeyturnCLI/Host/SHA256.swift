import COpenSSL

/// FIPS 180-4, for what is shown instead of a token, and for what two machines are to compare.
enum SHA256 {
  static func hex(_ message: [UInt8]) -> String {
    let digest = [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { room, count in
      let isMade = EVP_Q_digest(nil, "SHA256", nil, message, message.count, room.baseAddress, &count) == 1
      precondition(isMade, "libcrypto has no SHA-256")
    }
    return digest.map { octet in (octet < 16 ? "0" : "") + String(octet, radix: 16) }.joined()
  }
}
