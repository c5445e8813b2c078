import CKeyturnAPI
import Foundation

/// What an issuer publishes now: the document as it came, and what the library makes of it.
struct KeySet {
  let keys: [PublishedKey]
  /// Nil where it is signed, or was not fetched anew.
  let document: JSON?

  init(_ bench: Bench) throws(Complaint) {
    try bench.fetch()
    if bench.settings.isFetched, bench.issuer.stats.failures > 0 {
      throw Complaint("\(bench.settings.issuer): no keys: \(bench.whyNone)")
    }
    self.init(keys: bench.issuer.keys ?? [], KeySet.document(bench))
  }

  private init(keys: [PublishedKey], _ document: JSON?) { (self.keys, self.document) = (keys, document) }

  static func document(_ bench: Bench) -> JSON? {
    let octets = bench.published?.body ?? bench.settings["file"]?.text.flatMap { try? File.read($0) }
    return octets.flatMap { try? JSON.parse($0, from: "") }
  }

  /// In words: "EC P-256".
  func type(_ key: PublishedKey) -> String {
    guard let published = document?["keys"]?.elements, published.indices.contains(key.index),
      let type = published[key.index]["kty"]?.text
    else { return "?" }
    return Terminal.safe([type, published[key.index]["crv"]?.text ?? ""].joined(separator: " ").trimmed)
  }

  func line(_ key: PublishedKey) -> String {
    let kid = key.kid.isEmpty ? "(no kid)" : Terminal.safe(key.kid)
    let size = key.bits > 0 ? "\(key.bits)" : "-"
    let end =
      key.whyNot.map { Terminal.coloured("not used: \($0)", .bad) } ?? key.algorithms.joined(separator: ",")
    let thumbprint = key.thumbprint.isEmpty ? "-" : key.thumbprint
    return [kid.padded(24), type(key).padded(12), size.padded(6), thumbprint.padded(44), end].joined(
      separator: " ")
  }

  func json(_ key: PublishedKey) -> JSON {
    .object([
      "kid": .text(key.kid), "type": .text(type(key)), "bits": .number(Int64(key.bits)),
      "algorithms": .list(key.algorithms.map { .text($0) }), "thumbprint": .text(key.thumbprint),
      "usable": .flag(key.isUsable), "why_not": JSON(key.whyNot),
    ])
  }

  static let head = [
    "kid".padded(24), "type".padded(12), "bits".padded(6), "thumbprint (RFC 7638)".padded(44), "algorithms",
  ].joined(separator: " ")
}

extension String {
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
  var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
