internal import CKeyturn
public import CKeyturnAPI

@_cdecl("jwks_cache_metrics") @implementation
public func jwks_cache_metrics(
  _ cache: OpaquePointer?, _ options: UnsafePointer<jwks_metrics_options>?,
  _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ len: UnsafeMutablePointer<Int>?
) -> jwt_status {
  guard let cache = unsafe Cache(cache), let len = unsafe len, capacity >= 0,
    unsafe buffer != nil || capacity == 0
  else { return JWKS_INVALID_ARGUMENT }
  var metrics: Metrics
  do throws(Fault) {
    let octets = unsafe UnsafeMutableRawPointer(buffer)?.assumingMemoryBound(to: UInt8.self)
    metrics = try unsafe Metrics(cache, options, TextWriter(Room(octets, count: capacity)))
  } catch { return error.status.code }
  metrics.counts.gather(nil)
  ControlLock.with { metrics.write() }
  unsafe len.pointee = metrics.text.count
  return metrics.text.count < capacity ? JWT_OK : JWKS_INVALID_ARGUMENT
}

/// Each family of metrics, one in a line: its name, its type, where its numbers come from, its own label with the values that
/// it may have, and what it means. docs/watching.md has the same list, for people.
private var families: StaticString {
  """
  build_info|gauge|v|version||The version of Keyturn that runs.
  issuers|gauge|c4|||Issuers of the cache.
  store_sums|gauge|c3|||1 if the counters are those of all processes of the store together.
  store_processes_missed_total|counter|c2|||Processes that ended without writing down what they had counted last.
  uncounted_total|counter|c0|||Counts that found no room in a thread's table.
  events_dropped_total|counter|c1|||Events that found the queue full.
  tokens_total|counter|t|status||Verdicts by status; those before the issuer was known have none.
  kid_misses_total|counter|o1|outcome|pending throttled listed|Tokens with a kid that the key set has not got.
  token_cache_hits_total|counter|o5|||Tokens that were accepted without another look at their signature.
  token_cache_misses_total|counter|y4|||Tokens that the token cache had not got, or that were no longer valid for certain.
  token_cache_inserted_total|counter|y0|||Tokens that were put into the token cache.
  token_cache_evicted_total|counter|y1|||Tokens that have made room for others.
  token_cache_used_bytes|gauge|y2|||Octets of the token cache that hold tokens.
  token_cache_limit_bytes|gauge|y3|||Octets that the token cache may take.
  issuer_state|gauge|s|state|empty fresh stale expired pinned disabled|1 for the state that the issuer's keys are in.
  issuer_ready|gauge|r0|||1 if a key of the issuer is served.
  keys|gauge|r1|||Usable keys of the set in force.
  keys_revoked|gauge|r11|||Keys of the set in force that are revoked.
  keys_by_algorithm|gauge|a|algorithm||Usable keys of the set in force that may verify an algorithm.
  revocations|gauge|r2|||Revocations that are held.
  key_set_info|gauge|d|digest||1 for the digest of the kids and thumbprints in force.
  key_set_generation|gauge|w0|||Key sets that were put in force.
  key_set_age_seconds|gauge|r3|||Time since the keys were last confirmed.
  key_set_fresh_seconds|gauge|r4|||Time until the keys grow stale.
  key_set_served_seconds|gauge|r5|||Time until the keys are served no more.
  next_fetch_seconds|gauge|r6|||Time until the issuer is asked again.
  last_success_age_seconds|gauge|r7|||Time since a fetch last succeeded.
  last_failure_age_seconds|gauge|r8|||Time since a fetch last failed.
  failures_in_a_row|gauge|r9|||Fetches that have failed since one succeeded.
  waiters|gauge|r10|||Tokens that wait for the fetch under way.
  fetches_total|counter|w6|reason|start schedule retry missing_kid rekey operator elsewhere|Fetches by cause.
  fetch_results_total|counter|w14|result|new_set unchanged not_modified emptied regressed refused resolve connect tls timeout too_large broken cancelled other http_status document discovery local|Fetches by result.
  fetch_received_bytes_total|counter|w46|||Octets of the answers' bodies.
  fetch_duration_seconds|summary|l|||How long fetches took.
  keys_added_total|counter|w49|||Keys that came with a new set.
  keys_removed_total|counter|w50|||Keys that left with one.
  disjoint_sets_total|counter|w51|||New sets without any key of the one before.
  duplicate_kids_total|counter|w52|||Keys that came with the kid of another one of their set.
  revoked_keys_published_total|counter|w53|||Keys that came with a new set although they are revoked.
  keys_left_out_total|counter|w54|fault|usable not_an_object unknown_type unknown_curve unknown_algorithm algorithm_mismatch not_allowed other_use bad_member too_weak too_large bad_value private symmetric not_offered repeated not_pinned|Keys that cannot be used, by what is wrong with them.
  store_trouble|gauge|x0|trouble|keys revocations writing directory agent watching|1 while something is amiss with the store.
  store_troubles_total|counter|x1|trouble|keys revocations writing directory agent watching|How often it was met.
  key_tokens_total|counter|k0|||Tokens that the key has verified.
  key_latest_expiry_timestamp_seconds|gauge|k1|||The latest exp among the key's tokens.
  key_first_use_timestamp_seconds|gauge|k2|||When the key first verified a token.
  key_last_use_timestamp_seconds|gauge|k3|||When the key last verified a token.
  key_gapless|gauge|k4|||1 if every token that the key has verified since its first use was counted.
  """
}

/// The text exposition format of Prometheus, version 0.0.4. Under the control lock.
private struct Metrics {
  var text: TextWriter
  let counts: Counts
  private let now: Int64
  private let wall: Int64
  private let perKey: Bool
  private var keySeriesLeft: Int
  private var family = Family()

  @unsafe init(_ cache: Cache, _ options: UnsafePointer<jwks_metrics_options>?, _ text: TextWriter)
    throws(Fault)
  {
    var known = jwks_metrics_options()
    if let options = unsafe options { try unsafe Options.read(options, into: &known) }
    perKey = try Options.flag(known.per_key, OptionName("per_key"))
    counts = Counts(cache, isOwn: try Options.flag(known.own, OptionName("own")))
    try Options.zero(known.reserved, OptionName("reserved"))
    keySeriesLeft = try Options.count(
      known.max_series, OptionName("max_series"), default: 10_000, 1...1_000_000)
    self.text = text
    now = cache.steadyNow
    wall = cache.clock.now
  }

  mutating func write() {
    var rest = Bytes.of(families)
    while !rest.isEmpty {
      let line = rest.next(UInt8(ascii: "\n"))
      family = Family(line)
      guard family.source != UInt8(ascii: "k") || perKey else { continue }
      writeHead()
      writeCache()
      var issuer = counts.cache.firstIssuer
      while let one = issuer {
        write(one)
        issuer = counts.cache.issuer(after: one)
      }
    }
  }

  private mutating func writeHead() {
    for line in 2.times {
      text.write(line == 0 ? "# HELP keyturn_" : "# TYPE keyturn_")
      text.write(family.name)
      text.write(" ")
      text.write(line == 0 ? family.help : family.type)
      text.write("\n")
    }
  }

  // MARK: - Numbers

  /// What is of no issuer.
  private mutating func writeCache() {
    switch family.source {
    case UInt8(ascii: "v"):
      let version = unsafe keyturn_version()
      sample(nil, unsafe version.map { unsafe Bytes($0, strlen($0)) } ?? .empty, 1)
    case UInt8(ascii: "c"): sample(nil, nil, counts.number(family.position))
    case UInt8(ascii: "y"): sample(nil, nil, counts.cache.number(ofTokens: family.position))
    case UInt8(ascii: "t"): writeTokens(nil)
    case UInt8(ascii: "x"): unsafe writeTroubles(.empty, counts.cache.engine.pointee.troubles)
    default: return
    }
  }

  @inline(never)
  private mutating func write(_ issuer: Issuer) {
    let counts = counts
    switch family.source {
    case UInt8(ascii: "t"): writeTokens(issuer)
    case UInt8(ascii: "o"):
      writeLabelled(issuer) { counts.tokens(issuer, Outcome(code: UInt32(truncatingIfNeeded: $0))) }
    case UInt8(ascii: "w"): writeLabelled(issuer) { counts.number(issuer, $0) }
    case UInt8(ascii: "s"):
      let state = Int(issuer.report(now: now, wall: wall).state.rawValue)
      writeLabelled(issuer) { $0 == state ? 1 : 0 }
    case UInt8(ascii: "r"): writeReport(issuer)
    case UInt8(ascii: "a"): writeAlgorithms(issuer)
    case UInt8(ascii: "d"): writeDigest(issuer)
    case UInt8(ascii: "l"): writeDurations(issuer)
    case UInt8(ascii: "k"): writeKeys(issuer)
    case UInt8(ascii: "x"): writeTroubles(issuer.name, issuer.troubles)
    default: return
    }
  }

  private mutating func writeTokens(_ issuer: Issuer?) {
    for code in 1_000.times {
      guard let outcome = Outcome(jwt_status(rawValue: UInt32(truncatingIfNeeded: code))) else { continue }
      let number = counts.tokens(issuer, outcome)
      let name = StatusText.name(jwt_status(rawValue: outcome.code))
      if number > 0 { sample(issuer?.name ?? .empty, Bytes.of(name), number) }
    }
  }

  /// One number, or one for each value of the label; those that are 0 are left out.
  private mutating func writeLabelled(_ issuer: Issuer, _ number: (Int) -> UInt64) {
    guard !family.label.isEmpty else { return sample(issuer.name, nil, number(family.position)) }
    var values = family.values
    var position = family.position
    while !values.isEmpty {
      let value = values.next(UInt8(ascii: " "))
      let number = number(position)
      if number > 0 { sample(issuer.name, value, number) }
      position &+= 1
    }
  }

  private mutating func writeReport(_ issuer: Issuer) {
    let report = issuer.report(now: now, wall: wall)
    switch family.position {
    case 0: sample(issuer.name, nil, issuer.readiness(now: now, wall: wall) == nil ? 1 : 0)
    case 1: sample(issuer.name, nil, UInt64(truncatingIfNeeded: report.keys))
    case 2: sample(issuer.name, nil, UInt64(truncatingIfNeeded: report.revocations))
    case 3: seconds(issuer.name, report.age)
    case 4: seconds(issuer.name, report.freshFor)
    case 5: seconds(issuer.name, report.servedFor == .max ? nil : report.servedFor)
    case 6: seconds(issuer.name, report.nextFetch)
    case 7: seconds(issuer.name, report.sinceSuccess)
    case 8: seconds(issuer.name, report.sinceFailure)
    case 9: sample(issuer.name, nil, UInt64(truncatingIfNeeded: report.failures))
    case 10: sample(issuer.name, nil, UInt64(truncatingIfNeeded: report.waiters))
    default: sample(issuer.name, nil, UInt64(truncatingIfNeeded: issuer.revokedKeys(at: wall)))
    }
  }

  @inline(never)
  private mutating func writeTroubles(_ issuer: Bytes, _ troubles: Troubles) {
    var names = family.values
    for place in StoreTrouble.count.times {
      let name = names.next(UInt8(ascii: " "))
      let isThere = troubles.fault(at: place) > 0
      let number = family.position > 0 ? troubles.count(at: place) : isThere ? 1 : 0
      if number > 0 { sample(issuer, name, number) }
    }
  }

  private mutating func writeAlgorithms(_ issuer: Issuer) {
    for bit in 64.times {
      guard let algorithm = Algorithm(rawValue: UInt8(truncatingIfNeeded: bit)) else { continue }
      var count: UInt64 = 0
      issuer.visitKeys { if $0.algorithms.contains(algorithm) { count &+= 1 } }
      if count > 0 { sample(issuer.name, Bytes.of(algorithm.name), count) }
    }
  }

  private mutating func writeDigest(_ issuer: Issuer) {
    guard issuer.ledger.number(.generation) > 0 else { return }
    var memory = InlineArray<96, UInt8>(repeating: 0)
    memory.withRoom { room in
      let hex = room.slice(from: 32)
      for place in 4.times { room.set(word: issuer.ledger.number(.digest, place), at: place &* 8) }
      hex.setHexadecimal(room.bytes(32))
      sample(issuer.name, hex.bytes(64), 1)
    }
  }

  private mutating func writeDurations(_ issuer: Issuer) {
    start(issuer.name, nil, "_sum")
    writeMilliseconds(Int(truncatingIfNeeded: counts.number(issuer, Ledger.Word.duration.rawValue)))
    start(issuer.name, nil, "_count")
    finish(counts.number(issuer, Ledger.Word.ended.rawValue))
  }

  private mutating func writeKeys(_ issuer: Issuer) {
    var position = 0
    while keySeriesLeft > 0, let keys = issuer.keys, position < keys.count {
      if let key = keys.entry(position).key {
        let uses = counts.uses(issuer, key)
        let number =
          switch family.position {
          case 0: uses.accepted
          case 1: UInt64(bitPattern: uses.latestExpiry)
          case 2: UInt64(bitPattern: uses.first)
          case 3: UInt64(bitPattern: uses.last)
          default: issuer.isGapless(uses, isOwn: counts.isOwn) ? UInt64(1) : 0
          }
        start(issuer.name, nil, "", key)
        finish(number)
        keySeriesLeft &-= 1
      }
      position &+= 1
    }
  }

  // MARK: - Samples

  @inline(never)
  private mutating func sample(_ issuer: Bytes?, _ value: Bytes?, _ number: UInt64) {
    start(issuer, value, "")
    finish(number)
  }

  private mutating func seconds(_ issuer: Bytes, _ milliseconds: Int64?) {
    guard let milliseconds else { return }
    start(issuer, nil, "")
    writeMilliseconds(Int(max(0, milliseconds)))
  }

  private mutating func start(_ issuer: Bytes?, _ value: Bytes?, _ suffix: StaticString, _ key: Key? = nil) {
    text.write("keyturn_")
    text.write(family.name)
    text.write(suffix)
    var separator: StaticString = "{"
    label(Bytes("issuer"), issuer, &separator)
    label(family.label, value, &separator)
    if let key {
      label(Bytes("kid"), key.kid.isPlainText ? key.kid : .empty, &separator)
      // That of a secret tells of the secret.
      label(Bytes("thumbprint"), key.secret.isEmpty ? key.thumbprint : .empty, &separator)
    }
    if Bytes.of(separator) == "," { text.write("}") }
    text.write(" ")
  }

  private mutating func label(_ name: Bytes, _ value: Bytes?, _ separator: inout StaticString) {
    guard let value else { return }
    text.write(separator)
    separator = ","
    text.write(name)
    text.write("=")
    text.writeQuoted(value)
  }

  private mutating func finish(_ number: UInt64) {
    text.write(Int(clamping: number))
    text.write("\n")
  }

  private mutating func writeMilliseconds(_ number: Int) {
    text.write(number / 1_000)
    text.write(".")
    text.write(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / 100 % 10))
    text.write(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / 10 % 10))
    text.write(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number % 10))
    text.write("\n")
  }
}

/// A line of `families`.
private struct Family {
  var name = Bytes.empty
  var type = Bytes.empty
  /// Which numbers, and from where on.
  var source: UInt8 = 0
  var position = 0
  var label = Bytes.empty
  var values = Bytes.empty
  var help = Bytes.empty

  init() {}

  init(_ line: Bytes) {
    var rest = line
    let bar = UInt8(ascii: "|")
    name = rest.next(bar)
    type = rest.next(bar)
    let place = rest.next(bar)
    source = place.byte(at: 0) ?? 0
    for digit in max(0, place.count &- 1).times {
      position = position &* 10 &+ Int((place.byte(at: digit &+ 1) ?? 0) & 15)
    }
    label = rest.next(bar)
    values = rest.next(bar)
    help = rest
  }
}

extension Bytes {
  /// What comes before the next such octet, or before the end; both are taken off.
  fileprivate mutating func next(_ octet: UInt8) -> Bytes {
    let end = firstIndex(of: octet) ?? count
    let part = slice(from: 0, length: end)
    self = slice(from: end &+ 1)
    return part
  }
}
