// The JSON reader for json.c: compiled with the core's sources, and never shipped.

private let mostMembers = 4096

/// 0 or the reader's status.
@_cdecl("probe_json_read")
public func probe_json_read(
  _ text: UnsafePointer<UInt8>?, _ count: Int, _ maxMembers: Int, _ maxNesting: Int
) -> UInt32 {
  let limits = JSONLimits(maxMembers: maxMembers, maxNesting: maxNesting)
  do throws(Status) {
    try JSON.validate(unsafe Bytes(text, count: count), limits: limits, names: Probe.names())
    return 0
  } catch {
    #if PLANTED
      return error == .duplicateMember ? 0 : error.rawValue
    #else
      return error.rawValue
    #endif
  }
}

/// What the value at `pointer` holds, as json.c reads it: the octets written, or -1 where there is no value.
@_cdecl("probe_json_dump")
public func probe_json_dump(
  _ text: UnsafePointer<UInt8>?, _ count: Int, _ pointer: UnsafePointer<UInt8>?, _ pointerCount: Int,
  _ out: UnsafeMutablePointer<UInt8>?, _ capacity: Int
) -> Int {
  guard let value = JSONValue(unsafe Bytes(text, count: count)),
    let inner = value.at(pointer: unsafe Bytes(pointer, count: pointerCount))
  else { return -1 }
  var dump = Dump(room: unsafe Room(out, count: capacity))
  dump.write(inner)
  return dump.count
}

/// Looks at a text that nobody validated, as far as it goes: all that is asked is an end to it.
@_cdecl("probe_json_walk")
public func probe_json_walk(_ text: UnsafePointer<UInt8>?, _ count: Int) -> Int {
  JSONValue(unsafe Bytes(text, count: count)).map { Probe.walk($0, depth: 0) } ?? 0
}

private enum Probe {
  nonisolated(unsafe) static var memory: UnsafeMutableRawPointer?

  static func names() throws(Status) -> NameTable {
    if unsafe memory == nil {
      unsafe memory = try Memory.allocate(NameTable.byteCount(maxMembers: mostMembers))
    }
    guard let memory = unsafe memory else { throw .noMemory }
    return unsafe NameTable(memory, maxMembers: mostMembers, key: try .process)
  }

  static func walk(_ value: JSONValue, depth: Int) -> Int {
    guard depth < 64 else { return 0 }
    var steps = value.string?.unescapedCount ?? 0
    steps &+= value.number?.integer == nil ? 0 : 1
    var elements = value.elements()
    while let element = elements.next() { steps &+= walk(element, depth: depth &+ 1) }
    var members = value.members()
    while let (name, inner) = members.next() {
      steps &+= name.unescapedCount &+ walk(inner, depth: depth &+ 1)
    }
    return steps
  }
}

/// One letter a kind, lengths before contents.
private struct Dump {
  let room: Room
  var count = 0

  mutating func write(_ value: JSONValue) {
    switch value.kind {
    case .null: put("n")
    case .boolean: put(value.boolean == true ? "t" : "f")
    case .number: write(JSONNumber(text: value.text))
    case .string: if let string = value.string { write(string) }
    case .array:
      put("[")
      var elements = value.elements()
      while let element = elements.next() { write(element) }
      put("]")
    case .object:
      put("{")
      var members = value.members()
      while let (name, inner) = members.next() {
        write(name)
        write(inner)
      }
      put("}")
    }
  }

  /// The value rounded down, "+" if something remains, and whether an Int64 holds it all.
  private mutating func write(_ number: JSONNumber) {
    guard let date = number.numericDate else { return put("x") }
    put(date.hasFraction ? "+" : number.integer == date.seconds ? "i" : "?")
    put(UInt64(bitPattern: date.seconds))
  }

  private mutating func write(_ string: JSONString) {
    put("s")
    put(UInt64(string.unescapedCount))
    count &+= string.unescape(into: room.slice(from: count)) ?? 0
  }

  private mutating func put(_ letter: StaticString) {
    room.copy(Bytes(letter), at: count)
    count &+= 1
  }

  private mutating func put(_ word: UInt64) {
    for shift in UInt64(0)..<8 {
      room.set(UInt8(truncatingIfNeeded: word &>> (shift &* 8)), at: count)
      count &+= 1
    }
  }
}
