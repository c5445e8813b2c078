import CKeyturnAPI

/// One issuer in a cache of its own, for a command that ends.
struct Bench {
  let cache: CacheHandle
  let issuer: IssuerHandle
  let settings: IssuerSettings

  init(_ settings: IssuerSettings, fetcher: Fetcher? = nil, clock: Clock? = nil, store: String? = nil)
    throws(Complaint)
  {
    let texts = Texts()
    let network: Fetcher? = fetcher == nil && settings.isFetched ? try NetworkFetcher.open() : nil
    self.settings = settings
    cache = try CacheHandle(fetcher: fetcher ?? network, clock: clock) { options in
      options.store = store.flatMap(texts.keep)
    }
    issuer = try cache.add(settings)
  }

  /// Until the issuer has been asked, once, and has answered or not.
  func fetch() throws(Complaint) {
    guard settings.isFetched else { return }
    let before = issuer.stats.fetches
    try cache.poll(for: 65) { issuer.stats.fetches > before }
  }

  /// Why the issuer has no keys.
  var whyNone: String {
    let stats = issuer.stats
    guard stats.since_failure_ms >= 0 else { return "it has published none yet" }
    let last = cache.fetcher?.exchanges.last
    let url = last.map { "\($0.url): " } ?? ""
    guard stats.last_failure == JWKS_FETCHED_HTTP_STATUS, let last else {
      return url + stats.last_failure.reason
    }
    return url + "its HTTP status is \(last.status)"
  }

  /// The answer that the keys are from, where the network has brought it: not the one that told where they are.
  var published: Exchange? {
    cache.fetcher?.exchanges.last { answer in
      answer.status == 200 && (try? JSON.parse(answer.body, from: ""))?["jwks_uri"] == nil
    }
  }

  func verify(_ token: [UInt8], by policy: PolicyHandle) throws(Complaint) -> Verification {
    let verification = try Verification(token, by: policy)
    guard settings.isFetched else { return verification }
    try cache.poll(for: 65) {
      if verification.status == JWKS_PENDING { verification.again(token, by: policy) }
      return verification.status != JWKS_PENDING
    }
    return verification
  }
}
