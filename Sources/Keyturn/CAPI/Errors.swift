internal import CKeyturn
internal import CKeyturnAPI

extension Status {
  /// The same number by its name in the header.
  var code: jwt_status { jwt_status(rawValue: rawValue) }
}

/// Carries out a control call: its fault becomes a status, and a text for the person who made it.
func answer(
  _ error: UnsafeMutablePointer<jwks_error>?, _ call: () throws(Fault) -> Void
) -> jwt_status {
  guard let error = unsafe error else { return answer(call, tell: { _ in }) }
  guard unsafe error.pointee.size >= MemoryLayout<jwks_error>.size else { return JWKS_INVALID_ARGUMENT }
  unsafe ErrorText.clear(error)
  return answer(call) { fault in unsafe ErrorText.write(fault, to: error) }
}

private func answer(_ call: () throws(Fault) -> Void, tell: (Fault) -> Void) -> jwt_status {
  do throws(Fault) {
    try call()
    return JWT_OK
  } catch {
    tell(error)
    return error.status.code
  }
}

/// A fault's two texts in the caller's `jwks_error`.
private enum ErrorText {
  @inline(never)
  static func clear(_ error: UnsafeMutablePointer<jwks_error>) {
    unsafe withUnsafeMutableBytes(of: &error.pointee.option) { text in _ = unsafe TextWriter(room(text)) }
    unsafe withUnsafeMutableBytes(of: &error.pointee.message) { text in _ = unsafe TextWriter(room(text)) }
  }

  @inline(never)
  static func write(_ fault: Fault, to error: UnsafeMutablePointer<jwks_error>) {
    unsafe withUnsafeMutableBytes(of: &error.pointee.option) { text in
      var writer = unsafe TextWriter(room(text))
      writer.write(fault.option)
      writeIndex(fault, &writer)
    }
    unsafe withUnsafeMutableBytes(of: &error.pointee.message) { text in
      var writer = unsafe TextWriter(room(text))
      writer.write(fault.sentence)
      writeLine(fault, &writer)
    }
  }

  private static func writeIndex(_ fault: Fault, _ writer: inout TextWriter) {
    guard let index = fault.index else { return }
    writer.write("[")
    writer.write(index)
    writer.write("]")
    guard !Bytes.of(fault.member).isEmpty else { return }
    writer.write(".")
    writer.write(fault.member)
  }

  private static func writeLine(_ fault: Fault, _ writer: inout TextWriter) {
    guard fault.line > 0 else { return }
    writer.write(" (line ")
    writer.write(fault.line)
    writer.write(")")
  }

  private static func room(_ text: UnsafeMutableRawBufferPointer) -> Room {
    unsafe Room(text.baseAddress?.assumingMemoryBound(to: UInt8.self), count: text.count)
  }
}
