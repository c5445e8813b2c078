internal import CKeyturn

/// Borrowed octets. Every access is checked, and none traps: outside there is nothing to read.
///
/// The borrower keeps the owner alive: a `Bytes` is passed down, or stands beside its owner in one
/// record; it never outlives the call or the record.
@safe struct Bytes {
  private let base: UnsafePointer<UInt8>?
  let count: Int

  static var empty: Bytes { unsafe Bytes(nil, count: 0) }

  @unsafe init(_ base: UnsafePointer<UInt8>?, count: Int) {
    let readable = unsafe base != nil && count > 0
    unsafe self.base = base
    self.count = readable ? count : 0
  }

  /// Inlined, so that for a text at hand nothing is left to check.
  @inline(__always)
  init(_ text: StaticString) {
    unsafe self.init(text.utf8Start, count: text.utf8CodeUnitCount)
  }

  /// For a text that came from elsewhere: the one place where it is checked to have an address.
  @inline(never)
  static func of(_ text: StaticString) -> Bytes { Bytes(text) }

  var isEmpty: Bool { count == 0 }

  /// Soon all of it will be read.
  @inline(__always)
  func prefetch() { unsafe ckeyturn_prefetch(base, count) }

  /// The octet at `position`, or nil outside.
  @inline(__always)
  func byte(at position: Int) -> UInt8? {
    guard holds(position) else { return nil }
    return unsafe base.unsafelyUnwrapped[position]
  }

  /// One comparison for both ends, in the innermost loops. Where it is true there is a base, too: see `init`.
  @inline(__always)
  func holds(_ position: Int) -> Bool { UInt(bitPattern: position) < UInt(bitPattern: count) }

  /// The octets from `start` on, at most `length`; what lies outside is left off.
  @inline(__always)
  func slice(from start: Int, length: Int = .max) -> Bytes {
    guard holds(start), length > 0 else { return .empty }
    return unsafe Bytes(base.unsafelyUnwrapped + start, count: min(length, count &- start))
  }

  @inline(__always)
  func firstIndex(of octet: UInt8, from start: Int = 0) -> Int? {
    guard start >= 0, start < count, let base = unsafe base,
      let found = unsafe memchr(base + start, Int32(octet), count &- start)
    else { return nil }
    return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(base)
  }

  /// Octet by octet; in time that may depend on both.
  static func == (left: Bytes, right: Bytes) -> Bool { left.equals(right) }

  /// Inlined, so that a short text at hand is compared in place.
  @inline(__always)
  func equals(_ other: Bytes) -> Bool {
    guard count == other.count else { return false }
    guard let mine = unsafe base, let theirs = unsafe other.base else { return true }
    return unsafe memcmp(mine, theirs, count) == 0
  }

  @inline(__always)
  static func == (left: Bytes, right: StaticString) -> Bool { left == Bytes(right) }

  /// In time that depends on the lengths alone.
  func equalsInConstantTime(_ other: Bytes) -> Bool {
    guard count == other.count else { return false }
    var difference: UInt8 = 0
    for position in count.times { difference |= (byte(at: position) ?? 0) ^ (other.byte(at: position) ?? 0) }
    return difference == 0
  }

  func hasPrefix(_ prefix: Bytes) -> Bool { slice(from: 0, length: prefix.count) == prefix || prefix.isEmpty }

  var isAllZero: Bool {
    for position in count.times where byte(at: position) != 0 { return false }
    return true
  }

  /// Whether every octet is one of those.
  func consists(of isAllowed: (UInt8) -> Bool) -> Bool {
    var position = 0
    while let octet = byte(at: position) {
      guard isAllowed(octet) else { return false }
      position &+= 1
    }
    return true
  }

  /// ASCII letters without their case.
  func equalsIgnoringCase(_ other: Bytes) -> Bool {
    guard count == other.count else { return false }
    var position = 0
    while position < count {
      guard lowercase(at: position) == other.lowercase(at: position) else { return false }
      position &+= 1
    }
    return true
  }

  private func lowercase(at position: Int) -> UInt8 {
    let octet = byte(at: position) ?? 0
    return octet >= UInt8(ascii: "A") && octet <= UInt8(ascii: "Z") ? octet | 0x20 : octet
  }

  /// Where these octets stand in `whole`, if they are a slice of it.
  func offset(in whole: Bytes) -> Int? {
    guard let mine = unsafe base, let start = unsafe whole.base else { return nil }
    let offset = unsafe mine - start
    return offset >= 0 && offset <= whole.count &- count ? offset : nil
  }

  /// For calls into C; valid while the owner lives.
  @unsafe var pointer: UnsafePointer<UInt8>? { unsafe base }
}
