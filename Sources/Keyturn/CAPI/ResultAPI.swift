internal import CKeyturn
public import CKeyturnAPI

/// A verdict in its own block, which the host holds.
@safe struct ResultHandle {
  struct Record: ~Copyable {
    var verdict = Verdict()
    /// What the last refusal is about, NUL-terminated.
    var detail = Buffer(maximum: Record.detailLength)

    static var detailLength: Int { 256 }
  }

  private let record: UnsafeMutablePointer<Record>

  @unsafe init?(_ handle: OpaquePointer?) {
    guard let handle = unsafe handle else { return nil }
    unsafe record = UnsafeMutablePointer(handle)
  }

  static func make() throws(Status) -> OpaquePointer {
    var detail = Buffer(maximum: Record.detailLength)
    try detail.reserve(Record.detailLength)
    let memory = try unsafe Memory.allocate(MemoryLayout<Record>.size)
    let record = unsafe memory.assumingMemoryBound(to: Record.self)
    unsafe record.initialize(to: Record(detail: detail))
    return OpaquePointer(record)
  }

  func release() {
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }

  /// Clears the verdict, then has it filled.
  func fill(_ verification: (inout Verdict) throws(Status) -> Void) -> jwt_status {
    unsafe record.pointee.verdict.clear()
    _ = TextWriter(detail)
    do throws(Status) {
      try unsafe verification(&record.pointee.verdict)
      return JWT_OK
    } catch {
      unsafe record.pointee.verdict.refuse(error)
      writeDetail(unsafe record.pointee.verdict.place)
      return error.code
    }
  }

  /// At once, and not when it is asked for: the names of a rule are the policy's, which may be gone by then.
  private func writeDetail(_ place: Place) {
    var writer = TextWriter(detail)
    writer.write(place.name)
    guard let rule = place.rule else { return }
    writer.write("[")
    writer.write(rule)
    writer.write("] ")
    writer.write(place.claim)
  }

  /// The issuer that a pending token waits for, and its stamp.
  var pending: (Issuer, UInt64)? {
    switch unsafe record.pointee.verdict.pending {
    case .some(let pending): (pending.issuer, pending.stamp)
    case .none: nil
    }
  }

  var accepted: Verdict.Accepted? { unsafe record.pointee.verdict.accepted }
  var refusal: Status? { unsafe record.pointee.verdict.refusal }
  var detail: Room { unsafe record.pointee.detail.room }
}

@_cdecl("jwt_result_new") @implementation
public func jwt_result_new(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> jwt_status {
  guard let out = unsafe out else { return JWKS_INVALID_ARGUMENT }
  do throws(Status) {
    unsafe out.pointee = try ResultHandle.make()
    return JWT_OK
  } catch {
    return error.code
  }
}

@_cdecl("jwt_result_release") @implementation
public func jwt_result_release(_ result: OpaquePointer?) {
  unsafe ResultHandle(result)?.release()
}

@_cdecl("jwt_result_status") @implementation
public func jwt_result_status(_ result: OpaquePointer?) -> jwt_status {
  guard let result = unsafe ResultHandle(result) else { return JWKS_INVALID_ARGUMENT }
  return result.refusal?.code ?? JWT_OK
}

@_cdecl("jwt_result_detail") @implementation
public func jwt_result_detail(_ result: OpaquePointer?) -> UnsafePointer<CChar>? {
  guard let result = unsafe ResultHandle(result) else { return unsafe CString.of("") }
  return unsafe UnsafeRawPointer(result.detail.pointer)?.assumingMemoryBound(to: CChar.self)
}

@_cdecl("jwt_result_payload") @implementation
public func jwt_result_payload(_ result: OpaquePointer?) -> keyturn_span {
  unsafe span(ResultHandle(result)?.accepted?.opened.payload)
}

@_cdecl("jwt_result_kid") @implementation
public func jwt_result_kid(_ result: OpaquePointer?) -> keyturn_span {
  unsafe span(ResultHandle(result)?.accepted?.kid)
}

@_cdecl("jwt_result_thumbprint") @implementation
public func jwt_result_thumbprint(_ result: OpaquePointer?) -> keyturn_span {
  unsafe span(ResultHandle(result)?.accepted?.thumbprint)
}

@_cdecl("jwt_result_issuer") @implementation
public func jwt_result_issuer(_ result: OpaquePointer?) -> keyturn_span {
  unsafe span(ResultHandle(result)?.accepted?.issuer)
}

@_cdecl("jwt_result_algorithm") @implementation
public func jwt_result_algorithm(_ result: OpaquePointer?) -> UnsafePointer<CChar>? {
  guard let accepted = unsafe ResultHandle(result)?.accepted else { return nil }
  return unsafe CString.of(accepted.algorithm.name)
}

@_cdecl("jwt_result_expiry") @implementation
public func jwt_result_expiry(_ result: OpaquePointer?) -> Int64 {
  unsafe ResultHandle(result)?.accepted?.expiry ?? 0
}

@_cdecl("jwt_result_confirm_certificate") @implementation
public func jwt_result_confirm_certificate(
  _ result: OpaquePointer?, _ sha256: UnsafePointer<UInt8>?
) -> jwt_status {
  guard let result = unsafe ResultHandle(result), let sha256 = unsafe sha256 else {
    return JWKS_INVALID_ARGUMENT
  }
  guard let accepted = result.accepted else { return result.refusal?.code ?? JWKS_INVALID_ARGUMENT }
  guard let claims = accepted.claims, let named = Confirmation.certificate(of: claims) else {
    return JWT_CONFIRMATION_REQUIRED
  }
  let same = unsafe Confirmation.isDigest(named, of: Bytes(sha256, count: 32), accepted.opened.shadow)
  return same ? JWT_OK : JWT_CONFIRMATION_MISMATCH
}

/// Borrowed octets as C takes them.
func span(_ bytes: Bytes?) -> keyturn_span {
  guard let bytes, let pointer = unsafe bytes.pointer else { return unsafe keyturn_span(data: nil, len: 0) }
  return unsafe keyturn_span(
    data: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self), len: bytes.count)
}
