/// Eight octets at once, for the two inner loops that are worth it: scanning and hashing.
extension Bytes {
  /// The eight octets from `position` on, the first one lowest; nil if there are fewer.
  @inline(__always)
  func word(at position: Int) -> UInt64? {
    guard position >= 0, position <= count &- 8 else { return nil }
    let start = unsafe UnsafeRawPointer(pointer.unsafelyUnwrapped + position)
    return unsafe UInt64(littleEndian: start.loadUnaligned(as: UInt64.self))
  }

  /// The octets from `position` to the end, fewer than eight, likewise.
  @inline(__always)
  func lastWord(from position: Int) -> UInt64 {
    let length = count &- position
    guard position >= 0, length > 0, let base = unsafe pointer else { return 0 }
    let start = unsafe UnsafeRawPointer(base + position)
    let bits = UInt64(truncatingIfNeeded: length &* 8)
    guard length >= 4 else {
      let middle = unsafe UInt64(base[position &+ length / 2]) &<< (bits / 16 &* 8)
      return unsafe UInt64(base[position]) | middle | UInt64(base[count &- 1]) &<< (bits &- 8)
    }
    let low = unsafe UInt32(littleEndian: start.loadUnaligned(as: UInt32.self))
    let high = unsafe UInt32(littleEndian: (start + (length &- 4)).loadUnaligned(as: UInt32.self))
    return UInt64(low) | UInt64(high) &<< (bits &- 32)
  }
}

extension Room {
  /// As `Bytes.word(at:)` reads it. False, and worthless, where it does not fit.
  @discardableResult
  func set(word: UInt64, at position: Int) -> Bool {
    guard position >= 0, count >= 8, position <= count &- 8, let base = unsafe pointer else { return false }
    unsafe UnsafeMutableRawPointer(base + position).storeBytes(of: word.littleEndian, as: UInt64.self)
    return true
  }
}
