extension Int {
  /// From 0 up to this number; none for a negative one, where `0..<self` would trap.
  @inline(__always)
  var times: Range<Int> { unsafe Range(uncheckedBounds: (lower: 0, upper: Swift.max(0, self))) }
}
