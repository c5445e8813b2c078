internal import CJansson

/// A JSON document as a person or an issuer gives it, read whole by jansson; control path only.
@safe struct Document: ~Copyable {
  private let root: UnsafeMutablePointer<json_t>

  /// What no option can exceed.
  static var maximumLength: Int { 16 &* 1024 &* 1024 }
  /// jansson calls itself for each level, so deep documents are refused before it sees them.
  static var maximumNesting: Int { 64 }

  /// jansson would seed its hash from a file, at its first object.
  static func start() throws(Status) {
    let key = try HashKey.process
    json_object_seed(Int(truncatingIfNeeded: key.low))
  }

  init(_ text: Bytes) throws(Fault) {
    guard text.count <= Document.maximumLength else {
      throw Fault(.invalidDocument, "The document is longer than 16 MiB.")
    }
    try Document.limitNesting(text)
    var error = json_error_t()
    // A NUL in a string (written \u0000) is data like any other octet: all strings are read with their length.
    // An integer of any size is a number; none is looked at.
    let flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL
    var isOutOfMemory: Int32 = 0
    guard let root = unsafe cjansson_load(text.pointer, text.count, Int(flags), &error, &isOutOfMemory) else {
      throw isOutOfMemory == 1 ? .noMemory : Document.fault(error)
    }
    unsafe self.root = root
  }

  deinit { unsafe json_decref(root) }

  /// Lives as long as the document.
  var top: DocumentValue { unsafe DocumentValue(root) }

  private static func fault(_ error: json_error_t) -> Fault {
    let line = Int(error.line)
    return switch unsafe withUnsafePointer(to: error, { unsafe json_error_code($0) }) {
    case json_error_duplicate_key:
      Fault(.invalidDocument, "An object of the document has a member name twice.", line: line)
    case json_error_invalid_utf8: Fault(.invalidDocument, "The document is not UTF-8.", line: line)
    default: Fault(.invalidDocument, "The document is not a JSON object or array.", line: line)
    }
  }

  private static func limitNesting(_ text: Bytes) throws(Fault) {
    var depth = 0
    var line = 1
    var inString = false
    var position = 0
    while let octet = text.byte(at: position) {
      position &+= 1
      switch octet {
      case UInt8(ascii: "\""): inString.toggle()
      case UInt8(ascii: "\\") where inString: position &+= 1
      case UInt8(ascii: "\n"): line &+= 1
      // jansson overlooks one behind a number or a literal.
      case 0: throw Fault(.invalidDocument, "The document has a NUL in it.", line: line)
      case UInt8(ascii: "["), UInt8(ascii: "{"): if !inString { depth &+= 1 }
      case UInt8(ascii: "]"), UInt8(ascii: "}"): if !inString { depth &-= 1 }
      default: break
      }
      if depth > maximumNesting {
        throw Fault(.invalidDocument, "The document is nested more than 64 deep.", line: line)
      }
    }
  }
}

/// A value in a document, borrowed from it. What is asked of a value of another type is absent.
@safe struct DocumentValue {
  private let value: UnsafeMutablePointer<json_t>

  fileprivate init(_ value: UnsafeMutablePointer<json_t>) { unsafe self.value = value }

  var isObject: Bool { unsafe value.pointee.type == JSON_OBJECT }

  /// How many elements an array has.
  var elementCount: Int? {
    guard unsafe value.pointee.type == JSON_ARRAY else { return nil }
    return unsafe Int(json_array_size(value))
  }

  func element(_ index: Int) -> DocumentValue? {
    guard index >= 0, let element = unsafe json_array_get(value, Int(index)) else { return nil }
    return unsafe DocumentValue(element)
  }

  func member(_ name: StaticString) -> DocumentValue? {
    guard let member = unsafe json_object_get(value, CString.of(name)) else { return nil }
    return unsafe DocumentValue(member)
  }

  /// The content of a string.
  var text: Bytes? {
    guard let characters = unsafe json_string_value(value) else { return nil }
    let octets = unsafe UnsafeRawPointer(characters).assumingMemoryBound(to: UInt8.self)
    return unsafe Bytes(octets, count: Int(json_string_length(value)))
  }
}
