/// How long an answer is good for, from its header fields (RFC 9111 section 4.2). Feed it the value of each
/// field of these names, in any order; what it cannot read shortens the time and never lengthens it.
///
/// No wall clock is asked: Expires counts from the answer's own Date, and so does a Retry-After with a date.
/// ETag and Last-Modified are not read here, but sent back as they came.
struct HTTPFreshness: BitwiseCopyable {
  private var maxAge: Int64?
  private var isUncached = false
  private(set) var mustRevalidate = false
  private var age: Int64 = 0
  private var date: Int64?
  private var expires: Int64?
  private var retryAfter = RetryAfter.none

  private enum RetryAfter: BitwiseCopyable {
    case none
    case seconds(Int64)
    case date(Int64)
  }

  /// Cache-Control; `s-maxage` is for caches that several users share.
  mutating func readCacheControl(_ value: Bytes) {
    var list = DirectiveList(value)
    while let directive = list.next() {
      if directive.name.equalsIgnoringCase(Bytes("max-age")) {
        maxAge = min(maxAge ?? .max, directive.value.deltaSeconds ?? 0)
      } else if directive.name.equalsIgnoringCase(Bytes("no-cache"))
        || directive.name.equalsIgnoringCase(Bytes("no-store"))
      {
        isUncached = true
      } else if directive.name.equalsIgnoringCase(Bytes("must-revalidate")) {
        mustRevalidate = true
      }
    }
  }

  mutating func readAge(_ value: Bytes) { age = max(age, value.trimmed.deltaSeconds ?? 0) }

  mutating func readDate(_ value: Bytes) { date = date ?? HTTPDate.parse(value) }

  /// What is no date has expired (RFC 9111 section 5.3).
  mutating func readExpires(_ value: Bytes) { expires = min(expires ?? .max, HTTPDate.parse(value) ?? 0) }

  mutating func readRetryAfter(_ value: Bytes) {
    if let seconds = value.trimmed.deltaSeconds {
      retryAfter = .seconds(seconds)
    } else if let date = HTTPDate.parse(value) {
      retryAfter = .date(date)
    }
  }

  /// Unix seconds by the issuer's clock.
  var generated: Int64? { date.map { $0 &- age } }

  /// In milliseconds, inside the clamp. `hint` is a SPIFFE bundle's `spiffe_refresh_hint`, in seconds.
  func lifetime(hint: Int64?, _ settings: RefreshSettings) -> Int64 {
    let stated: Int64?
    if isUncached {
      stated = 0
    } else if let maxAge {
      stated = maxAge &- age
    } else if let expires, let date {
      stated = expires &- date
    } else {
      stated = hint
    }
    return settings.clampFreshness(stated.map(HTTPFreshness.milliseconds) ?? settings.defaultFreshness)
  }

  /// In milliseconds; nil if the answer does not say, or says a date but not its own.
  var retryDelay: Int64? {
    switch retryAfter {
    case .none: nil
    case .seconds(let seconds): HTTPFreshness.milliseconds(seconds)
    case .date(let then): date.map { HTTPFreshness.milliseconds(then &- $0) }
    }
  }

  /// Never negative; a year is as good as more.
  private static func milliseconds(_ seconds: Int64) -> Int64 { max(0, min(seconds, 31_536_000)) &* 1_000 }
}

extension RefreshSettings {
  func clampFreshness(_ lifetime: Int64) -> Int64 { max(minFreshness, min(lifetime, maxFreshness)) }
}

/// A list of directives, each a name and perhaps a value, which may be a quoted string (RFC 9111 section 5.2).
private struct DirectiveList {
  struct Directive {
    let name: Bytes
    /// Without its quotes. With a backslash in it, it is none of those that are read here.
    let value: Bytes
  }

  private let text: Bytes
  private var position = 0

  init(_ text: Bytes) { self.text = text }

  mutating func next() -> Directive? {
    guard position < text.count else { return nil }
    let start = position
    skipToComma()
    let item = text.slice(from: start, length: position &- start).trimmed
    position &+= 1
    guard let equals = item.firstIndex(of: UInt8(ascii: "=")) else {
      return Directive(name: item, value: .empty)
    }
    return Directive(
      name: item.slice(from: 0, length: equals).trimmed, value: item.slice(from: equals &+ 1).trimmed.unquoted
    )
  }

  /// A comma inside a quoted string separates nothing.
  private mutating func skipToComma() {
    var isQuoted = false
    while let octet = text.byte(at: position) {
      if octet == UInt8(ascii: "\"") { isQuoted.toggle() }
      if octet == UInt8(ascii: "\\"), isQuoted { position &+= 1 }
      if octet == UInt8(ascii: ","), !isQuoted { return }
      position &+= 1
    }
  }
}

extension Bytes {
  fileprivate var unquoted: Bytes {
    guard count >= 2, byte(at: 0) == UInt8(ascii: "\""), byte(at: count &- 1) == UInt8(ascii: "\"") else {
      return self
    }
    return slice(from: 1, length: count &- 2)
  }
}
