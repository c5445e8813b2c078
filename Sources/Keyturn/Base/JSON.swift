/// What a text may ask of its reader.
struct JSONLimits {
  /// Members of all objects in the text together.
  let maxMembers: Int
  /// Arrays and objects within each other; more than 64 count as 64.
  let maxNesting: Int
}

/// Reads JSON texts strictly (RFC 8259, RFC 7515 section 4): the whole text, UTF-8, no member twice in any
/// object, nothing after it. It builds nothing: values are slices of the text, looked into when asked.
enum JSON {
  typealias Member = (JSONString, JSONValue) throws(Status) -> Void

  /// Reads one object, and tells its own members one by one, each when its value has been read.
  /// Whatever was told is worth nothing if this then throws.
  static func readObject(
    _ text: Bytes, limits: JSONLimits, names: NameTable, member: Member
  ) throws(Status) {
    var lexer = JSONLexer(text)
    lexer.skipSpace()
    guard lexer.next == UInt8(ascii: "{") else { throw .badJSON }
    try validate(text, limits: limits, names: names, member: member)
  }

  /// Reads one value of any kind; if it is an object, its own members are told.
  static func validate(
    _ text: Bytes, limits: JSONLimits, names: NameTable, member: Member = { (_, _) throws(Status) in }
  ) throws(Status) {
    guard names.begin(text) else { throw .limitExceeded }
    var reader = JSONReader(text, limits: limits, names: names)
    while try reader.readMember() { try member(reader.name, reader.value) }
  }
}

/// Walks through one text without recursion: what is open is a bit each, and a number for each object.
private struct JSONReader {
  private var lexer: JSONLexer
  private let names: NameTable
  private let maxMembers: Int
  private let maxNesting: Int

  private var hasBegun = false
  private var depth = 0
  /// Bit 0: the innermost open value is an object, not an array; bit 1: the one around it; and so on.
  private var kinds: UInt64 = 0
  /// Nothing stands yet in the innermost open value.
  private var isFresh = false

  /// The innermost open object's number in the text, from 1.
  private var object: UInt32 = 0
  private var objectCount: UInt32 = 0
  private var memberCount = 0

  /// The outermost object's member that is being read, and where its value begins.
  private(set) var name = JSONString(raw: .empty, escaped: false)
  private var valueStart = 0
  private var valueKind = JSONKind.null

  init(_ text: Bytes, limits: JSONLimits, names: NameTable) {
    lexer = JSONLexer(text)
    self.names = names
    maxMembers = min(limits.maxMembers, names.maxMembers)
    maxNesting = min(limits.maxNesting, NameTable.maxNesting)
  }

  private var isInObject: Bool { kinds & 1 != 0 }

  @inline(__always)
  var value: JSONValue {
    let text = lexer.text.slice(from: valueStart, length: lexer.position &- valueStart)
    return JSONValue(kind: valueKind, text: text)
  }

  /// Whether the outermost object has one more member, which is read then; with it, or at the end, all that stands before.
  /// One for all who read texts, each with a body of its own for what it is told.
  @inline(never)
  mutating func readMember() throws(Status) -> Bool {
    if !hasBegun {
      hasBegun = true
      lexer.skipSpace()
      try readValue()
    }
    while depth > 0 {
      try readElementOrEnd()
      // Either the innermost value has ended, or one more stands in it: seen from outside, a member is read.
      if depth == 1, isInObject { return true }
    }
    lexer.skipSpace()
    guard lexer.isAtEnd else { throw .badJSON }
    return false
  }

  @inline(__always)
  private mutating func readElementOrEnd() throws(Status) {
    lexer.skipSpace()
    if lexer.take(isInObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) { return close() }
    if !isFresh {
      guard lexer.take(UInt8(ascii: ",")) else { throw .badJSON }
      lexer.skipSpace()
    }
    if isInObject { try readName() }
    try readValue()
  }

  @inline(__always)
  private mutating func readName() throws(Status) {
    let start = lexer.position
    let name = try lexer.string()
    memberCount &+= 1
    guard memberCount <= maxMembers else { throw .limitExceeded }
    try names.insert(name, at: start, in: lexer.text, object: object)
    lexer.skipSpace()
    guard lexer.take(UInt8(ascii: ":")) else { throw .badJSON }
    lexer.skipSpace()
    guard depth == 1 else { return }
    self.name = name
    valueStart = lexer.position
    guard let kind = JSONKind(firstOctet: lexer.next) else { throw .badJSON }
    valueKind = kind
  }

  @inline(__always)
  private mutating func readValue() throws(Status) {
    isFresh = false
    switch JSONKind(firstOctet: lexer.next) {
    case .string: _ = try lexer.string()
    case .number: try lexer.number()
    case .object: try open(isObject: true)
    case .array: try open(isObject: false)
    case .boolean: try lexer.literal(lexer.next == UInt8(ascii: "t") ? "true" : "false")
    case .null: try lexer.literal("null")
    case nil: throw .badJSON
    }
  }

  private mutating func open(isObject: Bool) throws(Status) {
    guard depth < maxNesting else { throw .limitExceeded }
    lexer.skip()
    if isObject {
      names.setOuter(object, at: depth)
      objectCount &+= 1
      object = objectCount
    }
    kinds = kinds &<< 1 | (isObject ? 1 : 0)
    depth &+= 1
    isFresh = true
  }

  private mutating func close() {
    depth &-= 1
    if isInObject { object = names.outer(at: depth) }
    kinds = kinds &>> 1
    isFresh = false
  }

}
