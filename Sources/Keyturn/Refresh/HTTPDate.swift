/// The three forms of a date in HTTP (RFC 9110 section 5.6.7), in Unix seconds.
///
///     Sun, 06 Nov 1994 08:49:37 GMT    Sunday, 06-Nov-94 08:49:37 GMT    Sun Nov  6 08:49:37 1994
enum HTTPDate {
  static func parse(_ value: Bytes) -> Int64? {
    let text = value.trimmed
    guard let comma = text.firstIndex(of: UInt8(ascii: ",")) else { return asctime(text) }
    let date = text.slice(from: comma &+ 1).trimmed
    let isOld = date.byte(at: 2) == UInt8(ascii: "-")
    return isOld ? rfc850(date) : fixdate(date)
  }

  /// 06 Nov 1994 08:49:37 GMT
  private static func fixdate(_ text: Bytes) -> Int64? {
    guard text.count == 24, text.has(" ", at: 2), text.has(" ", at: 6), text.has(" ", at: 11) else {
      return nil
    }
    guard text.slice(from: 20) == " GMT" else { return nil }
    return seconds(
      year: text.number(from: 7, 4), month: text.slice(from: 3, length: 3), day: text.number(from: 0, 2),
      time: text.slice(from: 12, length: 8))
  }

  /// 06-Nov-94 08:49:37 GMT. The two digits of its year are taken for 1970 to 2069.
  private static func rfc850(_ text: Bytes) -> Int64? {
    guard text.count == 22, text.has("-", at: 6), text.has(" ", at: 9), text.slice(from: 18) == " GMT",
      let digits = text.number(from: 7, 2)
    else { return nil }
    return seconds(
      year: digits < 70 ? 2_000 &+ digits : 1_900 &+ digits, month: text.slice(from: 3, length: 3),
      day: text.number(from: 0, 2), time: text.slice(from: 10, length: 8))
  }

  /// Sun Nov  6 08:49:37 1994
  private static func asctime(_ text: Bytes) -> Int64? {
    guard text.count == 24, text.has(" ", at: 3), text.has(" ", at: 7), text.has(" ", at: 10),
      text.has(" ", at: 19)
    else { return nil }
    let isShort = text.has(" ", at: 8)
    return seconds(
      year: text.number(from: 20, 4), month: text.slice(from: 4, length: 3),
      day: isShort ? text.number(from: 9, 1) : text.number(from: 8, 2), time: text.slice(from: 11, length: 8))
  }

  private static func seconds(year: Int64?, month name: Bytes, day: Int64?, time: Bytes) -> Int64? {
    guard let year, let day, let month = month(name), let ofDay = timeOfDay(time) else { return nil }
    guard day >= 1, day <= length(of: month, year) else { return nil }
    return days(year, month, day) &* 86_400 &+ ofDay
  }

  /// 08:49:37; the last second may be a leap second.
  private static func timeOfDay(_ text: Bytes) -> Int64? {
    guard text.has(":", at: 2), text.has(":", at: 5), let hour = text.number(from: 0, 2),
      let minute = text.number(from: 3, 2), let second = text.number(from: 6, 2),
      hour < 24, minute < 60, second <= 60
    else { return nil }
    return (hour &* 60 &+ minute) &* 60 &+ second
  }

  /// Since 1970, in the Gregorian calendar. Years are counted from March, so that a leap day comes last.
  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let years = month > 2 ? year : year &- 1
    let months = month > 2 ? month &- 3 : month &+ 9
    return years &* 365 &+ years / 4 &- years / 100 &+ years / 400 &+ (months &* 153 &+ 2) / 5 &+ day
      &- 719_469
  }

  private static func length(of month: Int64, _ year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func month(_ name: Bytes) -> Int64? {
    let names = Bytes("JanFebMarAprMayJunJulAugSepOctNovDec")
    for month in 12.times where names.slice(from: month &* 3, length: 3) == name { return Int64(month) &+ 1 }
    return nil
  }
}

extension Bytes {
  /// Without the white space around it that HTTP allows.
  var trimmed: Bytes {
    var start = 0
    var end = count
    while start < end, isBlank(start) { start &+= 1 }
    while end > start, isBlank(end &- 1) { end &-= 1 }
    return slice(from: start, length: end &- start)
  }

  /// Digits alone, at least one; what is beyond 2^31 counts as that (RFC 9111 section 1.2.2).
  var deltaSeconds: Int64? {
    guard !isEmpty else { return nil }
    var number: Int64 = 0
    var position = 0
    while position < count {
      guard let digit = digit(at: position) else { return nil }
      number = Swift.min(number &* 10 &+ digit, 2_147_483_648)
      position &+= 1
    }
    return number
  }

  private func isBlank(_ position: Int) -> Bool {
    byte(at: position) == UInt8(ascii: " ") || byte(at: position) == UInt8(ascii: "\t")
  }

  private func digit(at position: Int) -> Int64? {
    guard let octet = byte(at: position), octet >= UInt8(ascii: "0"), octet <= UInt8(ascii: "9") else {
      return nil
    }
    return Int64(octet &- UInt8(ascii: "0"))
  }

  fileprivate func has(_ octet: StaticString, at position: Int) -> Bool {
    slice(from: position, length: 1) == Bytes.of(octet)
  }

  fileprivate func number(from start: Int, _ digits: Int) -> Int64? {
    guard start >= 0, start &+ digits <= count else { return nil }
    return slice(from: start, length: digits).deltaSeconds
  }
}
