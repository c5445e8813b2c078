internal import CKeyturn

/// Borrowed room to write in. Every write is checked, and none traps: what does not fit is refused.
/// Its owner outlives it, as with `Bytes`.
@safe struct Room {
  private let base: UnsafeMutablePointer<UInt8>?
  let count: Int

  @unsafe init(_ base: UnsafeMutablePointer<UInt8>?, count: Int) {
    let writable = unsafe base != nil && count > 0
    unsafe self.base = base
    self.count = writable ? count : 0
  }

  /// False, and nothing written, outside.
  @inline(__always) @discardableResult
  func set(_ octet: UInt8, at position: Int) -> Bool {
    guard position >= 0, position < count, let base = unsafe base else { return false }
    unsafe base[position] = octet
    return true
  }

  /// False, and nothing written, if they do not fit.
  @discardableResult
  func copy(_ source: Bytes, at position: Int) -> Bool {
    guard position >= 0, position <= count, source.count <= count &- position else { return false }
    guard let base = unsafe base, let from = unsafe source.pointer else { return true }
    unsafe memcpy(base + position, from, source.count)
    return true
  }

  /// In hexadecimal digits, two for each octet, as far as they fit.
  @inline(never)
  func setHexadecimal(_ octets: Bytes) {
    let digits = Bytes("0123456789abcdef")
    for place in octets.count.times {
      let octet = Int(octets.byte(at: place) ?? 0)
      set(digits.byte(at: octet &>> 4) ?? 0, at: place &* 2)
      set(digits.byte(at: octet & 15) ?? 0, at: place &* 2 &+ 1)
    }
  }

  func slice(from start: Int, length: Int = .max) -> Room {
    guard start >= 0, start < count, length > 0, let base = unsafe base else {
      return unsafe Room(nil, count: 0)
    }
    return unsafe Room(base + start, count: min(length, count &- start))
  }

  /// What has been written, as far as `length`.
  func bytes(_ length: Int) -> Bytes {
    unsafe Bytes(UnsafePointer(base), count: min(length, count))
  }

  /// For calls into C; valid while the owner lives.
  @unsafe var pointer: UnsafeMutablePointer<UInt8>? { unsafe base }
}

extension InlineArray where Element == UInt8 {
  /// Its octets as room to write in, for the length of `body`.
  @inline(__always)
  mutating func withRoom<Result, Failure: Error>(
    _ body: (Room) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var span = mutableSpan
    return try unsafe span.withUnsafeMutableBufferPointer { buffer throws(Failure) in
      try body(unsafe Room(buffer.baseAddress, count: buffer.count))
    }
  }
}
