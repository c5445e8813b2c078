internal import CKeyturn
internal import CKeyturnAPI

/// Reads what a host passes in: every field is checked, and refused by its name.
enum Options {
  /// No release will have a larger struct.
  private static var largestStruct: Int { 4_096 }

  /// The struct as this release knows it. A longer one comes from a newer header, and may say nothing there.
  static func read<Struct: BitwiseCopyable>(_ given: UnsafePointer<Struct>, into known: inout Struct)
    throws(Fault)
  {
    let raw = unsafe UnsafeRawPointer(given)
    let mine = MemoryLayout<Struct>.size
    let size = unsafe raw.load(as: Int.self)
    guard size >= mine, size <= largestStruct, size % MemoryLayout<Struct>.alignment == 0 else {
      throw Fault(.invalidOption, "Start from the struct's _INIT macro, which sets its size.", option: "size")
    }
    let tail = unsafe Bytes((raw + mine).assumingMemoryBound(to: UInt8.self), count: size &- mine)
    guard tail.isAllZero else {
      throw Fault(
        .invalidOption, "This release does not know an option that is set; it is older than the header.",
        option: "size")
    }
    unsafe withUnsafeMutableBytes(of: &known) {
      unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: raw, count: mine))
    }
  }

  static func flag(_ value: UInt32, _ name: OptionName) throws(Fault) -> Bool {
    guard value <= 1 else { throw name.refused("A flag is 0 or 1.") }
    return value == 1
  }

  /// Room for what a later release may add.
  static func zero(_ value: UInt32, _ name: OptionName) throws(Fault) {
    guard value == 0 else {
      throw name.refused("This release knows no option there; it is older than the header.")
    }
  }

  /// 0 is the default.
  static func count(
    _ value: UInt32, _ name: OptionName, default standard: Int, _ range: ClosedRange<Int>
  ) throws(Fault) -> Int {
    guard value != 0 else { return standard }
    guard range.contains(Int(value)) else {
      throw name.refused("It is outside of the range that keyturn.h states.")
    }
    return Int(value)
  }

  /// 0 is the default, KEYTURN_OFF is none.
  static func time(
    _ value: Int64, _ name: OptionName, default standard: Int64?, atMost maximum: Int64
  ) throws(Fault) -> Int64? {
    if value == 0 { return standard }
    if value == Int64(KEYTURN_OFF) { return nil }
    guard value > 0, value <= maximum else {
      throw name.refused("It is outside of the range that keyturn.h states.")
    }
    return value
  }

  static func algorithms(_ value: UInt64, _ name: OptionName) throws(Fault) -> AlgorithmSet {
    let set = AlgorithmSet(rawValue: value)
    guard set.isSubset(of: .known) else {
      throw name.refused("It has a bit that is no JWT_ALG_ of this release.")
    }
    return set
  }

  /// nil for NULL.
  static func text(
    _ text: UnsafePointer<CChar>?, _ name: OptionName, atMost maximum: Int
  ) throws(Fault) -> Bytes? {
    guard let bytes = try unsafe octets(text, name, atMost: maximum) else { return nil }
    guard bytes.isPlainText else { throw name.refused("It is not UTF-8 without control characters.") }
    return bytes
  }

  /// The same, whatever is in it.
  static func octets(
    _ text: UnsafePointer<CChar>?, _ name: OptionName, atMost maximum: Int
  ) throws(Fault) -> Bytes? {
    guard let text = unsafe text else { return nil }
    let count = unsafe strnlen(text, maximum &+ 1)
    guard count > 0 else { throw name.refused("It is empty.") }
    guard count <= maximum else { throw name.refused("It is too long.") }
    return unsafe Bytes(UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
  }

  static func requiredText(
    _ text: UnsafePointer<CChar>?, _ name: OptionName, atMost maximum: Int
  ) throws(Fault) -> Bytes {
    guard let bytes = try unsafe self.text(text, name, atMost: maximum) else {
      throw name.refused("It is required.")
    }
    return bytes
  }

  /// Whether there are any. A count beyond what Swift takes for a size comes out negative, and is too many.
  static func some(_ count: Int, _ name: OptionName, atMost maximum: Int) throws(Fault) -> Bool {
    guard count >= 0, count <= maximum else { throw name.refused("There are too many.") }
    return count > 0
  }

  /// Copies an array of texts into the arena.
  static func texts(
    _ texts: UnsafePointer<UnsafePointer<CChar>?>?, count: Int, _ name: OptionName, atMost maximum: Int,
    arena: inout Arena
  ) throws(Fault) -> Items<Bytes> {
    guard try some(count, name, atMost: maximum) else { return .none }
    guard let texts = unsafe texts else { throw name.refused("It is NULL, but its count is not 0.") }
    let items = arena.items(count, of: Bytes.self)
    var place = 0
    while place < count {
      let text = try unsafe requiredText(texts[place], name.at(place), atMost: 4_096)
      items.set(arena.copy(text), at: place)
      place &+= 1
    }
    return items
  }

  static func check(
    _ texts: Items<Bytes>, _ name: OptionName, _ sentence: StaticString, _ isGood: (Bytes) -> Bool
  ) throws(Fault) {
    var place = 0
    while let text = texts.item(at: place) {
      guard isGood(text) else { throw name.at(place).refused(sentence) }
      place &+= 1
    }
  }
}

/// The name by which an option is told to a person: "leeway_s", "audiences[3]", "rules[2].claim".
struct OptionName {
  let option: StaticString
  var index: Int?
  var member: StaticString = ""

  init(_ option: StaticString) { self.option = option }

  func at(_ index: Int) -> OptionName {
    var name = self
    name.index = index
    return name
  }

  func member(_ member: StaticString) -> OptionName {
    var name = self
    name.member = member
    return name
  }

  func refused(_ sentence: StaticString) -> Fault {
    Fault(.invalidOption, sentence, option: option, index: index, member: member)
  }
}
