public import CKeyturnAPI

@_cdecl("jwt_result_claim") @implementation
public func jwt_result_claim(_ result: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ len: Int) -> jwt_value
{
  unsafe value(of: result, name, len) { accepted, name in accepted.claims?.member(name) }
}

@_cdecl("jwt_result_claim_at") @implementation
public func jwt_result_claim_at(_ result: OpaquePointer?, _ pointer: UnsafePointer<CChar>?, _ len: Int)
  -> jwt_value
{
  unsafe value(of: result, pointer, len) { accepted, pointer in accepted.claims?.at(pointer: pointer) }
}

@_cdecl("jwt_result_header") @implementation
public func jwt_result_header(_ result: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ len: Int)
  -> jwt_value
{
  unsafe value(of: result, name, len) { accepted, name in accepted.header?.member(name) }
}

@_cdecl("jwt_result_header_at") @implementation
public func jwt_result_header_at(
  _ result: OpaquePointer?, _ pointer: UnsafePointer<CChar>?, _ len: Int
) -> jwt_value {
  unsafe value(of: result, pointer, len) { accepted, pointer in accepted.header?.at(pointer: pointer) }
}

@_cdecl("jwt_value_integer") @implementation
public func jwt_value_integer(_ value: jwt_value, _ out: UnsafeMutablePointer<Int64>?) -> Int32 {
  guard let out = unsafe out, unsafe value.kind == JWT_NUMBER,
    let integer = unsafe text(value.text.data, value.text.len)?.wholeNumber
  else { return 0 }
  unsafe out.pointee = integer
  return 1
}

/// Looks something up in an accepted result; absent where there is nothing.
private func value(
  of result: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ len: Int,
  _ find: (Verdict.Accepted, Bytes) -> JSONValue?
) -> jwt_value {
  guard let accepted = unsafe ResultHandle(result)?.accepted, let name = unsafe text(name, len),
    let found = find(accepted, name)
  else { return unsafe jwt_value(kind: JWT_ABSENT, text: span(nil)) }
  let text = found.string.map { accepted.opened.shadow.plain($0) } ?? found.text
  return unsafe jwt_value(kind: found.kind.code, text: span(text))
}

private func text(_ text: UnsafePointer<CChar>?, _ len: Int) -> Bytes? {
  guard let text = unsafe text, len >= 0 else { return nil }
  return unsafe Bytes(text, len)
}

extension Bytes {
  /// Of the text of a JSON number, and of no other.
  fileprivate var wholeNumber: Int64? {
    var lexer = JSONLexer(self)
    do throws(Status) { try lexer.number() } catch { return nil }
    return lexer.isAtEnd ? JSONNumber(text: self).integer : nil
  }
}

extension JSONKind {
  fileprivate var code: jwt_kind {
    switch self {
    case .null: JWT_NULL
    case .boolean: JWT_BOOLEAN
    case .number: JWT_NUMBER
    case .string: JWT_STRING
    case .array: JWT_ARRAY
    case .object: JWT_OBJECT
    }
  }
}
