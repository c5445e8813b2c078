/// The members of an object, which are taken one by one; what is left over has a name that nobody knows.
struct Fields {
  private let path: String
  private let line: Int
  private let members: [LinedValue.Member]
  private var left: Set<String>

  init(_ value: LinedValue, at path: String) throws(Mistake) {
    guard case .object(let members) = value.value else {
      throw Mistake(line: value.line, sentence: path.isEmpty ? "not an object" : "\(path): not an object")
    }
    self.path = path
    self.members = members
    line = value.line
    left = Set(members.map(\.name))
  }

  func place(_ name: String) -> String {
    path.isEmpty || name.isEmpty ? path + name : "\(path).\(name)"
  }

  func mistake(_ name: String, _ sentence: String) -> Mistake {
    let line = members.first { $0.name == name }?.value.line ?? line
    return Mistake(line: line, sentence: "\(place(name)): \(sentence)")
  }

  func end() throws(Mistake) {
    guard let strange = members.first(where: { left.contains($0.name) }) else { return }
    throw Mistake(line: strange.line, sentence: "\(place(strange.name)): no such field")
  }

  mutating func value(_ name: String) throws(Mistake) -> LinedValue? {
    left.remove(name)
    return members.first { $0.name == name }?.value
  }

  mutating func text(_ name: String) throws(Mistake) -> String? {
    guard let value = try value(name) else { return nil }
    guard case .text(let text) = value.value, !text.isEmpty, text.count <= 200 else {
      throw mistake(name, "not a text of at most 200 characters")
    }
    return text
  }

  mutating func flag(_ name: String) throws(Mistake) -> Bool? {
    guard let value = try value(name) else { return nil }
    guard case .flag(let flag) = value.value else { throw mistake(name, "neither true nor false") }
    return flag
  }

  mutating func number(_ name: String, _ range: ClosedRange<Double>) throws(Mistake) -> Double? {
    guard let value = try value(name) else { return nil }
    guard case .number(let number) = value.value, range.contains(number) else {
      throw mistake(name, "not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  mutating func whole(_ name: String, _ range: ClosedRange<Int64>) throws(Mistake) -> Int64? {
    guard let value = try value(name) else { return nil }
    guard case .number(let number) = value.value, let whole = Int64(exactly: number), range.contains(whole)
    else { throw mistake(name, "not a whole number from \(range.lowerBound) to \(range.upperBound)") }
    return whole
  }

  /// "90s", "15m", "2h", "1d", "50ms", or a number of seconds; in milliseconds.
  mutating func span(_ name: String, _ range: ClosedRange<Int64>) throws(Mistake) -> Int64? {
    guard let value = try value(name) else { return nil }
    guard let found = Fields.milliseconds(value) else {
      throw mistake(name, "not a time like \"90s\", \"15m\", \"2h\", \"1d\" or \"50ms\"")
    }
    guard range.contains(found) else {
      throw mistake(
        name, "not from \(Span.exact(range.lowerBound)) to \(Span.exact(range.upperBound))")
    }
    return found
  }

  private static func milliseconds(_ value: LinedValue) -> Int64? {
    switch value.value {
    case .number(let seconds): seconds.magnitude < 1e10 ? Int64(seconds * 1_000) : nil
    case .text(let text): Span.milliseconds(text)
    default: nil
    }
  }

  /// It may be before the start.
  mutating func moment(_ name: String) throws(Mistake) -> Int64 {
    guard let at = try span(name, -Scenario.longest...Scenario.longest) else {
      throw mistake(name, "required")
    }
    return at
  }

  mutating func moments(_ name: String) throws(Mistake) -> [Int64] {
    var found: [Int64] = []
    for value in try list(name) {
      guard let at = Fields.milliseconds(value) else {
        throw Mistake(line: value.line, sentence: "\(place(name)): not times")
      }
      found.append(at)
    }
    return found.sorted()
  }

  mutating func list(_ name: String) throws(Mistake) -> [LinedValue] { try optionalList(name) ?? [] }

  mutating func optionalList(_ name: String) throws(Mistake) -> [LinedValue]? {
    guard let value = try value(name) else { return nil }
    guard case .list(let values) = value.value else { throw mistake(name, "not a list") }
    return values
  }
}

extension Span {
  /// Several after each other are a sum: "1h30m". One may be negative.
  static func milliseconds(_ text: String) -> Int64? {
    let isNegative = text.hasPrefix("-")
    var rest = text.dropFirst(isNegative ? 1 : 0)
    var sum: Int64 = 0
    repeat {
      let digits = rest.prefix { $0.isNumber }
      let unit = rest.dropFirst(digits.count).prefix { !$0.isNumber }
      rest = rest.dropFirst(digits.count + unit.count)
      let size = unit == "ms" ? Int64(digits) : seconds(String(digits + unit)).map { $0 &* 1_000 }
      guard let size, size < 1 << 50, sum < 1 << 50 else { return nil }
      sum += size
    } while !rest.isEmpty
    return isNegative ? -sum : sum
  }

  /// Whole seconds as people say them; what is less than one as it is.
  static func exact(_ milliseconds: Int64) -> String {
    let sign = milliseconds < 0 ? "-" : ""
    let size = Int64(milliseconds.magnitude)
    return sign + (size > 0 && size < 1_000 ? "\(size) ms" : text(size / 1_000))
  }
}
