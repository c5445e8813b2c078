internal import CKeyturn

/// Which start of the machine this is: only within one do times of its clock compare.
struct BootID: BitwiseCopyable {
  let low: UInt64
  let high: UInt64

  /// Without /proc it is not known, and no other is the same.
  var isKnown: Bool { low != 0 || high != 0 }

  static var current: BootID {
    var words: (UInt64, UInt64) = (0, 0)
    unsafe withUnsafeMutableBytes(of: &words) { octets in
      if let place = octets.baseAddress { unsafe ckeyturn_boot_id(place) }
    }
    return BootID(low: words.0, high: words.1)
  }
}
