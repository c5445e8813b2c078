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
  guard unsafe ErrorText.clear(error) else { return JWKS_INVALID_ARGUMENT }
  do throws(Fault) {
    try call()
    return JWT_OK
  } catch let fault {
    return unsafe ErrorText.tell(fault, to: error)
  }
}

/// A fault's two texts in the caller's `jwks_error`.
private enum ErrorText {
  /// False for one that is too small. Not inlined, like `tell`, since each control call comes here.
  @inline(never)
  static func clear(_ error: UnsafeMutablePointer<jwks_error>?) -> Bool {
    guard let error = unsafe error else { return true }
    guard unsafe error.pointee.size >= MemoryLayout<jwks_error>.size else { return false }
    unsafe withUnsafeMutableBytes(of: &error.pointee.option) { text in _ = unsafe TextWriter(room(text)) }
    unsafe withUnsafeMutableBytes(of: &error.pointee.message) { text in _ = unsafe TextWriter(room(text)) }
    return true
  }

  @inline(never)
  static func tell(_ fault: Fault, to error: UnsafeMutablePointer<jwks_error>?) -> jwt_status {
    if let error = unsafe error { unsafe write(fault, to: error) }
    return fault.status.code
  }

  private static func write(_ fault: Fault, to error: UnsafeMutablePointer<jwks_error>) {
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
