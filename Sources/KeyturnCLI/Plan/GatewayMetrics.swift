import Foundation

/// What a gateway's metrics say that a plan and a canary can use: Prometheus's text format.
///
/// What is told of keys counts as the whole truth, so that a page of which a line is amiss is none.
struct GatewayMetrics {
  private var samples: [MetricsLine] = []

  private static let families: Set<String> = [
    "keyturn_key_set_fresh_seconds", "keyturn_key_set_age_seconds", "keyturn_issuer_ready",
    "keyturn_key_tokens_total", "keyturn_key_latest_expiry_timestamp_seconds", "keyturn_key_gapless",
    "keyturn_store_sums",
  ]

  init(_ page: Data) throws(Complaint) {
    let lineFeed = UInt8(ascii: "\n")
    guard page.last ?? lineFeed == lineFeed else {
      throw Complaint("its metrics are cut off, or none: the last line has no end")
    }
    let lines = Array(page).split(separator: lineFeed, omittingEmptySubsequences: false)
    for (place, line) in lines.enumerated() {
      let text = line.drop(while: MetricsLine.isBlank)
      guard text.starts(with: "keyturn_".utf8) else { continue }
      guard let sample = MetricsLine(text) else {
        throw Complaint("its metrics cannot be read: line \(place + 1) is no sample")
      }
      if GatewayMetrics.families.contains(sample.name) { samples.append(sample) }
    }
  }

  /// From a file.
  init(at path: String) throws(Complaint) {
    let page = try File.read(path)
    do throws(Complaint) { try self.init(page) } catch { throw Complaint("\(path): \(error)") }
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
      } else if !isSummed {
        "it tells what one process has counted since its start"
      } else if gapless.contains(where: { $0 != 1 }) {
        "not every token of the key was counted"
      } else {
        nil
      }
    return KeyUses(latestExpiry: Int64(min(ends.max() ?? 0, 1e18).rounded(.up)), gap: gap)
  }

  private var isSummed: Bool {
    let told = samples.filter { $0.name == "keyturn_store_sums" }
    return !told.isEmpty && told.allSatisfy { $0.value == 1 }
  }

  private func values(_ name: String, _ issuer: String) -> [Double] {
    samples.filter { $0.name == name && $0.labels["issuer"] == issuer }.map(\.value)
      .filter { 0..<1e9 ~= $0 }
  }
}
