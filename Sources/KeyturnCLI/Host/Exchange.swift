import CKeyturnAPI
import Foundation

/// One request, and what came back: what an issuer has really said, for those who judge that.
struct Exchange {
  var url: String
  var failure = JWKS_FETCH_ANSWERED
  var status: UInt32 = 0
  var body = Data()
  var fields: [String: String] = [:]
  var milliseconds: Int64 = 0

  static let fieldNames = [
    "age", "cache-control", "date", "etag", "expires", "last-modified", "retry-after",
  ]

  init(url: String) { self.url = url }

  mutating func take(_ response: jwks_response) {
    failure = response.failure
    status = response.http_status
    body = Data(response.body.octets)
    let spans = [
      response.age, response.cache_control, response.date, response.etag, response.expires,
      response.last_modified, response.retry_after,
    ]
    for (name, span) in zip(Exchange.fieldNames, spans) where span.len > 0 { fields[name] = span.text }
  }

  /// Ends a fetch as this one was ended.
  func complete(_ fetch: OpaquePointer?) {
    var response = jwks_response()
    response.size = MemoryLayout<jwks_response>.size
    response.failure = failure
    response.http_status = status
    let texts = Texts()
    let spans = Exchange.fieldNames.map { name in texts.span(fields[name] ?? "") }
    (response.age, response.cache_control, response.date) = (spans[0], spans[1], spans[2])
    (response.etag, response.expires) = (spans[3], spans[4])
    (response.last_modified, response.retry_after) = (spans[5], spans[6])
    body.withUnsafeBytes { octets in
      response.body = keyturn_span(data: octets.bindMemory(to: CChar.self).baseAddress, len: octets.count)
      withExtendedLifetime(texts) { jwks_fetch_complete(fetch, &response) }
    }
  }
}

extension keyturn_span {
  var octets: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : len) }
  var text: String { String(decoding: octets, as: UTF8.self) }
}

extension Texts {
  func span(_ text: String) -> keyturn_span { keyturn_span(data: keep(text), len: text.utf8.count) }
}
