/// What a gateway's metrics say that a plan can use: Prometheus's text format.
struct GatewayMetrics {
  private var samples: [(name: String, labels: [String: String], value: Double)] = []

  init(_ text: String) {
    for line in text.split(separator: "\n") where line.hasPrefix("keyturn_") {
      if let sample = GatewayMetrics.sample(line) { samples.append(sample) }
    }
  }

  /// For how long the slowest of the issuer's sets is fresh there, in seconds.
  func freshness(of issuer: String) -> Int64? {
    let fresh = values("keyturn_key_set_fresh_seconds", issuer)
    let ages = values("keyturn_key_set_age_seconds", issuer)
    return zip(fresh, ages).map { Int64(($0 + $1).rounded(.up)) }.max()
  }

  /// Whether tokens of the issuer get a verdict there; nil: nothing is said of it.
  func isReady(_ issuer: String) -> Bool? {
    values("keyturn_issuer_ready", issuer).map { $0 == 1 }.min { !$0 && $1 }
  }

  /// The kids of the set in force; nil: single keys are not told of.
  func kids(of issuer: String) -> [String]? {
    let series = samples.filter { $0.name == "keyturn_key_tokens_total" && $0.labels["issuer"] == issuer }
    return series.isEmpty ? nil : series.compactMap { $0.labels["kid"] }
  }

  /// What they tell of the tokens that a key has verified.
  struct KeyUses: Equatable {
    /// The latest exp among those that were counted, in Unix seconds; 0: there is none.
    let latestExpiry: Int64
    /// Why there may be others; nil: each was counted since the key's first use.
    let gap: String?
  }

  /// Keys that share the kid are one here.
  func uses(of kid: String, from issuer: String) -> KeyUses {
    func told(_ name: String) -> [Double] {
      samples.filter { $0.name == name && $0.labels["issuer"] == issuer && $0.labels["kid"] == kid }.map(
        \.value)
    }
    let ends = told("keyturn_key_latest_expiry_timestamp_seconds").filter { $0 >= 0 }
    let gapless = told("keyturn_key_gapless")
    let count = told("keyturn_key_tokens_total").count
    let gap: String? =
      if kids(of: issuer) == nil {
        "its metrics are without per_key"
      } else if count == 0 {
        "it does not know the key"
      } else if ends.count != count || gapless.count != count {
        "its metrics of the key are not whole"
      } else if samples.first(where: { $0.name == "keyturn_store_sums" })?.value != 1 {
        "it tells what one process has counted since its start"
      } else if gapless.contains(where: { $0 != 1 }) {
        "not every token of the key was counted"
      } else {
        nil
      }
    return KeyUses(latestExpiry: Int64(min(ends.max() ?? 0, 1e18).rounded(.up)), gap: gap)
  }

  private func values(_ name: String, _ issuer: String) -> [Double] {
    samples.filter { $0.name == name && $0.labels["issuer"] == issuer }.map(\.value)
      .filter { $0.isFinite && $0 < 1e9 }
  }

  private static func sample(_ line: Substring) -> (String, [String: String], Double)? {
    guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
      return nil
    }
    let series = line[..<space]
    let name = series.prefix { $0 != "{" }
    return (String(name), labels(series.dropFirst(name.count)), value)
  }

  /// `{name="value",...}`, with `\\`, `\"` and `\n` in values.
  private static func labels(_ text: Substring) -> [String: String] {
    var found: [String: String] = [:]
    var rest = text.dropFirst()
    while let quote = rest.firstIndex(of: "\"") {
      let name = rest[..<quote].filter { $0.isLetter || $0 == "_" }
      var value = ""
      rest = rest[rest.index(after: quote)...]
      while let character = rest.popFirst(), character != "\"" {
        let isEscaped = character == "\\"
        if let one = isEscaped ? rest.popFirst() : character {
          value.append(isEscaped && one == "n" ? "\n" : one)
        }
      }
      found[name] = value
    }
    return found
  }
}
