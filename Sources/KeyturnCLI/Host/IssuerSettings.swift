import CKeyturnAPI
import Foundation

/// The options of an issuer in a document: each has the name that it has in keyturn.h, and means the same.
struct IssuerSettings: Equatable {
  let issuer: String
  private let values: [String: JSON]

  init(_ value: JSON, at place: String) throws(Complaint) {
    guard case .object(let values) = value else { throw Complaint("\(place): not an object") }
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      guard let field = IssuerField.all[name] else { throw Complaint("\(place).\(name): no such option") }
      var options = jwks_issuer_options()
      guard field.set(&options, value, Texts()) else {
        throw Complaint("\(place).\(name): not \(field.wanted)")
      }
    }
    guard case .text(let issuer) = values["issuer"] else {
      throw Complaint("\(place).issuer: required: the exact value of iss")
    }
    self.issuer = issuer
    self.values = values
  }

  /// Whether a network is asked.
  var isFetched: Bool {
    values["jwks_url"] != nil || values["discovery"].map { $0 != .text("none") } ?? false
  }

  /// Another value of one option, if it is not said yet.
  func with(_ name: String, _ value: JSON) throws(Complaint) -> IssuerSettings {
    try IssuerSettings(.object([name: value].merging(values) { $1 }), at: "options")
  }

  subscript(_ name: String) -> JSON? { values[name] }

  /// The options are valid until `body` returns.
  func withOptions<Result>(_ body: (inout jwks_issuer_options) -> Result) -> Result {
    var options = jwks_issuer_options()
    options.size = MemoryLayout<jwks_issuer_options>.size
    let texts = Texts()
    for (name, value) in values { _ = IssuerField.all[name]?.set(&options, value, texts) }
    return withExtendedLifetime(texts) { body(&options) }
  }
}

/// How one option is said in JSON.
struct IssuerField: Sendable {
  typealias Options = jwks_issuer_options
  typealias Field<Value> = WritableKeyPath<Options, Value> & Sendable

  let wanted: String
  /// False for a value of another kind.
  let set: @Sendable (inout Options, JSON, Texts) -> Bool

  static let all: [String: IssuerField] = [
    "issuer": .text(\.issuer),
    "algorithms": .algorithms(\.algorithms),
    "use": .choice(\.use, ["sig": JWKS_USE_SIG, "jwt-svid": JWKS_USE_JWT_SVID]),
    "allow_symmetric": .flag(\.allow_symmetric),
    "max_keys": .number(\.max_keys),
    "max_document": .number(\.max_document),
    "jwks_url": .text(\.jwks_url),
    "discovery": .choice(
      \.discovery,
      ["none": JWKS_DISCOVERY_NONE, "openid": JWKS_DISCOVERY_OPENID, "oauth": JWKS_DISCOVERY_OAUTH]),
    "allow_http": .flag(\.allow_http),
    "lazy": .flag(\.lazy),
    "jwks_hosts": .texts(\.jwks_hosts, \.jwks_host_count),
    "headers": .texts(\.headers, \.header_count),
    "ca_file": .text(\.ca_file),
    "client_certificate": .text(\.client_certificate),
    "client_key": .text(\.client_key),
    "proxy": .text(\.proxy),
    "max_redirects": .number(\.max_redirects),
    "connect_timeout_ms": .number(\.connect_timeout_ms),
    "fetch_timeout_ms": .number(\.fetch_timeout_ms),
    "min_freshness_ms": .number(\.min_freshness_ms),
    "max_freshness_ms": .number(\.max_freshness_ms),
    "default_freshness_ms": .number(\.default_freshness_ms),
    "hard_limit_ms": .number(\.hard_limit_ms),
    "honor_must_revalidate": .flag(\.honor_must_revalidate),
    "empty_set": .choice(\.empty_set, ["hold": JWKS_EMPTY_HOLD, "obey": JWKS_EMPTY_OBEY]),
    "backoff_base_ms": .number(\.backoff_base_ms),
    "backoff_max_ms": .number(\.backoff_max_ms),
    "backoff_max_unserved_ms": .number(\.backoff_max_unserved_ms),
    "max_retry_after_ms": .number(\.max_retry_after_ms),
    "demand_burst": .number(\.demand_burst),
    "demand_interval_ms": .number(\.demand_interval_ms),
    "total_burst": .number(\.total_burst),
    "total_interval_ms": .number(\.total_interval_ms),
    "kept_for_schedule": .number(\.kept_for_schedule),
    "operator_burst": .number(\.operator_burst),
    "operator_interval_ms": .number(\.operator_interval_ms),
    "refused_kids": .number(\.refused_kids),
    "refused_short_ms": .number(\.refused_short_ms),
    "refused_long_ms": .number(\.refused_long_ms),
    "max_waiters": .number(\.max_waiters),
    "idle_ms": .number(\.idle_ms),
    "rediscovery_ms": .number(\.rediscovery_ms),
    "regression_ms": .number(\.regression_ms),
    "empty_hold_ms": .number(\.empty_hold_ms),
    "stale_warning_ms": .number(\.stale_warning_ms),
    "lock_timeout_ms": .number(\.lock_timeout_ms),
    "same_kid_rekey": .flag(\.same_kid_rekey),
    "rekey_interval_ms": .number(\.rekey_interval_ms),
    "pinned_max_age_ms": .number(\.pinned_max_age_ms),
    "valid_until": .number(\.valid_until),
    "pins": .texts(\.pins, \.pin_count),
    "grace_ms": .number(\.grace_ms),
    "signed_by": .text(\.signed_by),
    "file": .text(\.file),
    "file_check_ms": .number(\.file_check_ms),
  ]
}

extension IssuerField {
  private static func text(_ field: Field<UnsafePointer<CChar>?>) -> IssuerField {
    IssuerField(wanted: "a text") { options, value, texts in
      guard case .text(let text) = value else { return false }
      options[keyPath: field] = texts.keep(text)
      return true
    }
  }

  private static func texts(
    _ field: Field<UnsafePointer<UnsafePointer<CChar>?>?>,
    _ count: Field<Int>
  ) -> IssuerField {
    IssuerField(wanted: "a list of texts") { options, value, texts in
      guard let list = value.texts else { return false }
      options[keyPath: field] = texts.keep(list)
      options[keyPath: count] = list.count
      return true
    }
  }

  private static func flag(_ field: Field<UInt32>) -> IssuerField {
    IssuerField(wanted: "true or false") { options, value, _ in
      guard case .flag(let flag) = value else { return false }
      options[keyPath: field] = flag ? 1 : 0
      return true
    }
  }

  /// 0 would be the default again, which is said by leaving the option out.
  private static func number<Number: FixedWidthInteger>(
    _ field: Field<Number>
  ) -> IssuerField {
    let off = Number.isSigned ? ", or \"off\" for none" : ""
    return IssuerField(wanted: "a number from 1 to \(Number.max)\(off)") { options, value, _ in
      if Number.isSigned, value == .text("off") {
        options[keyPath: field] = Number(clamping: Int64(KEYTURN_OFF))
        return true
      }
      guard case .number(let number) = value, number > 0, let exact = Number(exactly: number) else {
        return false
      }
      options[keyPath: field] = exact
      return true
    }
  }

  private static func choice<Choice: Sendable>(
    _ field: Field<Choice>, _ choices: [String: Choice]
  ) -> IssuerField {
    let names = choices.keys.sorted().map { "\"\($0)\"" }.joined(separator: " or ")
    return IssuerField(wanted: names) { options, value, _ in
      guard case .text(let name) = value, let choice = choices[name] else { return false }
      options[keyPath: field] = choice
      return true
    }
  }

  private static func algorithms(_ field: Field<UInt64>) -> IssuerField {
    IssuerField(wanted: "a list of registered names, like [\"ES256\"]") { options, value, _ in
      guard let names = value.texts, !names.isEmpty else { return false }
      let bits = names.map { jwt_algorithm_from_name($0, $0.utf8.count) }
      guard !bits.contains(0) else { return false }
      options[keyPath: field] = bits.reduce(0, |)
      return true
    }
  }
}

extension JSON {
  fileprivate var texts: [String]? {
    guard let values = elements else { return nil }
    let texts = values.compactMap(\.text)
    return texts.count == values.count ? texts : nil
  }
}

/// Owns the texts that options point to.
final class Texts {
  private var texts: [UnsafeMutablePointer<CChar>] = []
  private var lists: [UnsafeMutablePointer<UnsafePointer<CChar>?>] = []

  func keep(_ text: String) -> UnsafePointer<CChar>? {
    guard let copy = strdup(text) else { return nil }
    texts.append(copy)
    return UnsafePointer(copy)
  }

  func keep(_ list: [String]) -> UnsafePointer<UnsafePointer<CChar>?>? {
    let pointers = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: max(1, list.count))
    pointers.initialize(repeating: nil, count: max(1, list.count))
    for (place, text) in list.enumerated() { pointers[place] = keep(text) }
    lists.append(pointers)
    return UnsafePointer(pointers)
  }

  deinit {
    for text in texts { free(text) }
    for list in lists { list.deallocate() }
  }
}
