import CKeyturnAPI

/// What the library tells of, as lines of the log.
extension CacheHandle {
  func logEvents() {
    var event = jwks_event()
    event.size = MemoryLayout<jwks_event>.size
    while jwks_event_next(cache, &event) == 1 {
      if event.dropped > 0 { Log.write(.warning, "events were dropped", ["count": String(event.dropped)]) }
      Log.write(event.level, String(cString: event.name).replacing("_", with: " "), event.fields)
    }
  }
}

extension jwks_event {
  /// What somebody should look at.
  fileprivate var level: Log.Level {
    switch kind {
    case JWKS_EVENT_EXPIRED, JWKS_EVENT_PRIVATE_KEY, JWKS_EVENT_REVOCATIONS_UNKNOWN: .error
    case JWKS_EVENT_FETCH_FAILED, JWKS_EVENT_STALE, JWKS_EVENT_EMPTIED_HELD, JWKS_EVENT_EMPTIED_OBEYED,
      JWKS_EVENT_DISJOINT_SET, JWKS_EVENT_REGRESSED_HELD, JWKS_EVENT_KEYS_LEFT_OUT,
      JWKS_EVENT_REVOKED_KEY, JWKS_EVENT_MISSES_RISE, JWKS_EVENT_END_NEAR, JWKS_EVENT_STORE_REFUSED,
      JWKS_EVENT_STORE_UNWRITTEN, JWKS_EVENT_STORE_GONE, JWKS_EVENT_AGENT_SILENT, JWKS_EVENT_UNWATCHED:
      .warning
    default: .info
    }
  }

  /// Of the store, in words.
  private var trouble: String {
    let isTrouble = kind.rawValue >= JWKS_EVENT_STORE_REFUSED.rawValue && kind != JWKS_EVENT_STORE_SOUND
    return isTrouble ? String(cString: jwks_store_fault_text(jwks_store_fault(rawValue: reason))) : ""
  }

  fileprivate var fields: [(String, String)] {
    var copy = self
    let texts = [
      ("issuer", withUnsafeBytes(of: &copy.issuer) { String(terminated: $0) }),
      ("kid", withUnsafeBytes(of: &copy.kid) { String(terminated: $0) }),
      ("thumbprint", withUnsafeBytes(of: &copy.thumbprint) { String(terminated: $0) }),
      ("because", trouble),
    ]
    let numbers = [("count", count), ("removed", removed), ("reason", UInt64(reason))]
    return texts.filter { !$0.1.isEmpty } + numbers.filter { $0.1 > 0 }.map { ($0.0, String($0.1)) }
  }
}

extension String {
  /// As far as the first NUL.
  init(terminated octets: UnsafeRawBufferPointer) {
    self.init(decoding: octets.prefix { $0 != 0 }, as: UTF8.self)
  }
}
