internal import CKeyturnAPI

/// What comes back: the fields that freshness and validation need, and the body. Everything is counted.
struct Answer: ~Copyable {
  private static var mostHeaderOctets: Int { 65_536 }

  private let maxBody: Int
  private var body: Collected
  private var headerOctets = 0
  private var cacheControl = FieldValue()
  private var age = FieldValue()
  private var date = FieldValue()
  private var expires = FieldValue()
  private var etag = FieldValue()
  private var lastModified = FieldValue()
  private var retryAfter = FieldValue()

  init(maxBody: Int) {
    self.maxBody = maxBody
    body = Collected(maximum: maxBody)
  }

  mutating func clear() {
    body.clear()
    headerOctets = 0
    clearFields()
  }

  mutating func add(toBody more: Bytes) throws(Status) { try body.append(more) }

  /// A line of the header, as it came. A status line begins another message: what an interim one said is
  /// forgotten, but counted.
  mutating func add(header line: Bytes) throws(Status) {
    headerOctets &+= line.count
    guard headerOctets <= Answer.mostHeaderOctets else { throw .tooLarge }
    if line.hasPrefix(Bytes("HTTP/")) { return clearFields() }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return }
    try add(line.slice(from: colon &+ 1).trimmed, to: line.slice(from: 0, length: colon))
  }

  private mutating func add(_ value: Bytes, to name: Bytes) throws(Status) {
    if name.equalsIgnoringCase(Bytes("cache-control")) { return try cacheControl.add(value) }
    if name.equalsIgnoringCase(Bytes("age")) { return try age.add(value) }
    if name.equalsIgnoringCase(Bytes("date")) { return try date.add(value) }
    if name.equalsIgnoringCase(Bytes("expires")) { return try expires.add(value) }
    if name.equalsIgnoringCase(Bytes("etag")) { return try etag.add(value) }
    if name.equalsIgnoringCase(Bytes("last-modified")) { return try lastModified.add(value) }
    if name.equalsIgnoringCase(Bytes("retry-after")) { return try retryAfter.add(value) }
  }

  private mutating func clearFields() {
    cacheControl.clear()
    age.clear()
    date.clear()
    expires.clear()
    etag.clear()
    lastModified.clear()
    retryAfter.clear()
  }

  /// Borrowed: while nothing is added.
  func fill(_ response: inout jwks_response) {
    unsafe response.body = span(body.bytes)
    unsafe response.cache_control = span(cacheControl.bytes)
    unsafe response.age = span(age.bytes)
    unsafe response.date = span(date.bytes)
    unsafe response.expires = span(expires.bytes)
    unsafe response.etag = span(etag.bytes)
    unsafe response.last_modified = span(lastModified.bytes)
    unsafe response.retry_after = span(retryAfter.bytes)
  }

  private func span(_ bytes: Bytes) -> keyturn_span {
    unsafe keyturn_span(
      data: UnsafeRawPointer(bytes.pointer)?.assumingMemoryBound(to: CChar.self), len: bytes.count)
  }
}

/// The value of a field, all its lines together (RFC 9110 section 5.3). One that is too long says nothing.
private struct FieldValue: ~Copyable {
  private var value = Collected(maximum: 4_096)
  private var isTooLong = false

  var bytes: Bytes { isTooLong ? .empty : value.bytes }

  mutating func clear() {
    value.clear()
    isTooLong = false
  }

  mutating func add(_ more: Bytes) throws(Status) {
    do throws(Status) {
      if value.count > 0 { try value.append(Bytes(", ")) }
      try value.append(more)
    } catch .tooLarge { isTooLong = true }
  }
}
