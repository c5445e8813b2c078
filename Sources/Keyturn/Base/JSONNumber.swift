/// A date of RFC 7519 section 2: the whole second it lies in, and whether it lies beyond its beginning.
struct NumericDate: Equatable {
  let seconds: Int64
  let hasFraction: Bool
}

/// A number's text, read as the exact decimal that it is: nothing goes through binary fractions.
struct JSONNumber {
  let text: Bytes

  /// The value, if it is exactly an Int64, however it is written ("15", "1.5e1").
  var integer: Int64? {
    guard let date = numericDate, !date.hasFraction else { return nil }
    return date.seconds
  }

  /// The value rounded down, if that is an Int64.
  var numericDate: NumericDate? {
    if let plain { return NumericDate(seconds: plain, hasFraction: false) }
    let parts = Parts(text)
    guard let (whole, hasFraction) = parts.split() else { return nil }
    guard parts.isNegative else {
      return Int64(exactly: whole).map { NumericDate(seconds: $0, hasFraction: hasFraction) }
    }
    let (below, overflow) = whole.addingReportingOverflow(hasFraction ? 1 : 0)
    guard !overflow, below <= Int64.min.magnitude else { return nil }
    return NumericDate(seconds: Int64(truncatingIfNeeded: 0 &- below), hasFraction: hasFraction)
  }

  /// As nearly every date is written: some digits, and nothing else.
  private var plain: Int64? {
    guard text.count <= 18 else { return nil }
    var (value, position): (Int64, Int) = (0, 0)
    while let octet = text.byte(at: position) {
      guard JSONNumber.isDigit(octet) else { return nil }
      value = value &* 10 &+ Int64(octet & 0x0f)
      position &+= 1
    }
    return value
  }

  /// Where in the text the digits stand, and where among them the decimal point belongs.
  private struct Parts {
    let text: Bytes
    var isNegative = false
    private var digits = 0
    private var end = 0
    private var point = 0

    init(_ text: Bytes) {
      self.text = text
      isNegative = text.byte(at: 0) == UInt8(ascii: "-")
      digits = isNegative ? 1 : 0
      end = JSONNumber.endOfDigits(text, from: digits)
      point = end &- digits
      if text.byte(at: end) == UInt8(ascii: ".") { end = JSONNumber.endOfDigits(text, from: end &+ 1) }
      if let e = text.byte(at: end), e | 0x20 == UInt8(ascii: "e") {
        point = point &+ JSONNumber.exponent(text, from: end &+ 1)
      }
    }

    /// The digits before the point as a number, and whether any after it counts; nil beyond 64 bits.
    func split() -> (UInt64, Bool)? {
      var whole: UInt64 = 0
      var hasFraction = false
      var index = 0
      var position = digits
      while position < end, let octet = text.byte(at: position) {
        position &+= 1
        guard octet != UInt8(ascii: ".") else { continue }
        let digit = UInt64(octet & 0x0f)
        if index >= point {
          hasFraction = hasFraction || digit != 0
        } else {
          guard let longer = Parts.append(digit, to: whole) else { return nil }
          whole = longer
        }
        index &+= 1
      }
      while index < point, whole != 0 {
        guard let longer = Parts.append(0, to: whole) else { return nil }
        whole = longer
        index &+= 1
      }
      return (whole, hasFraction)
    }

    private static func append(_ digit: UInt64, to whole: UInt64) -> UInt64? {
      let (tens, tooMany) = whole.multipliedReportingOverflow(by: 10)
      let (sum, tooMuch) = tens.addingReportingOverflow(digit)
      return tooMany || tooMuch ? nil : sum
    }
  }

  private static func endOfDigits(_ text: Bytes, from start: Int) -> Int {
    var position = start
    while let octet = text.byte(at: position), isDigit(octet) { position &+= 1 }
    return position
  }

  /// At most 10^15 either way: further than any text has digits, so that more would change nothing.
  private static func exponent(_ text: Bytes, from start: Int) -> Int {
    let sign = text.byte(at: start)
    let isSigned = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
    var position = isSigned ? start &+ 1 : start
    var size = 0
    while let octet = text.byte(at: position), isDigit(octet) {
      size = min(size &* 10 &+ Int(octet & 0x0f), 1_000_000_000_000_000)
      position &+= 1
    }
    return sign == UInt8(ascii: "-") ? 0 &- size : size
  }

  @inline(__always)
  static func isDigit(_ octet: UInt8) -> Bool { octet &- UInt8(ascii: "0") < 10 }
}
