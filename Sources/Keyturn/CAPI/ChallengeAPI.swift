public import CKeyturnAPI

@_cdecl("jwt_challenge") @implementation
public func jwt_challenge(
  _ status: jwt_status, _ options: UnsafePointer<jwt_challenge_options>?,
  _ buffer: UnsafeMutablePointer<CChar>?,
  _ capacity: Int, _ len: UnsafeMutablePointer<Int>?
) -> jwt_status {
  guard let len = unsafe len, capacity >= 0, unsafe buffer != nil || capacity == 0 else {
    return JWKS_INVALID_ARGUMENT
  }
  let parts: ChallengeParts
  do throws(Fault) { parts = try unsafe ChallengeParts(options) } catch { return error.status.code }
  unsafe len.pointee = Challenge.write(status, parts, into: Room(nil, count: 0))
  guard unsafe len.pointee < capacity else { return JWKS_INVALID_ARGUMENT }
  let octets = unsafe UnsafeMutableRawPointer(buffer)?.assumingMemoryBound(to: UInt8.self)
  _ = unsafe Challenge.write(status, parts, into: Room(octets, count: capacity))
  return JWT_OK
}

private struct ChallengeParts {
  let realm: Bytes?
  let scope: Bytes?
  let resourceMetadata: Bytes?

  @unsafe init(_ options: UnsafePointer<jwt_challenge_options>?) throws(Fault) {
    var known = unsafe jwt_challenge_options()
    if let options = unsafe options { try unsafe Options.read(options, into: &known) }
    realm = try unsafe Options.text(known.realm, OptionName("realm"), atMost: 1_024)
    scope = try unsafe Options.text(known.scope, OptionName("scope"), atMost: 1_024)
    resourceMetadata = try unsafe Options.text(
      known.resource_metadata, OptionName("resource_metadata"), atMost: 2_048)
  }
}

/// `Bearer` and its parameters (RFC 6750 section 3, RFC 9728 section 5.1).
private struct Challenge {
  private var text: TextWriter
  private var separator: StaticString = " "

  /// The length of the whole, whether it fits or not.
  static func write(_ status: jwt_status, _ parts: ChallengeParts, into room: Room) -> Int {
    var challenge = Challenge(text: TextWriter(room))
    challenge.write(status, parts)
    return challenge.text.count
  }

  private mutating func write(_ status: jwt_status, _ parts: ChallengeParts) {
    let http = jwt_status_http(status)
    guard http == 401 || http == 403 else { return }
    text.write("Bearer")
    parameter("realm", parts.realm)
    if http == 403 {
      parameter("error", Bytes("insufficient_scope"))
      parameter("scope", parts.scope)
    } else if status != JWT_MISSING {
      parameter("error", Bytes("invalid_token"))
    }
    parameter("resource_metadata", parts.resourceMetadata)
  }

  private mutating func parameter(_ name: StaticString, _ value: Bytes?) {
    guard let value else { return }
    text.write(separator)
    separator = ", "
    text.write(name)
    text.write("=")
    text.writeQuoted(value)
  }
}
