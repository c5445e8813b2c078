import Foundation

/// Judges how a key set is published: where, and for how long caches may keep it.
struct AnswerLint {
  let answer: Exchange
  private let directives: [Substring]

  init(_ answer: Exchange) {
    self.answer = answer
    directives = (answer.fields["cache-control"] ?? "").lowercased().split(separator: ",")
  }

  var findings: [Finding] {
    [transport, caching, validator].compactMap { $0 }
  }

  private func says(_ name: String) -> Bool {
    directives.contains { $0.trimmingCharacters(in: .whitespaces) == name }
  }

  private var maxAge: Int64? {
    directives.lazy.compactMap { directive in
      let parts = directive.split(separator: "=").map { $0.trimmingCharacters(in: .whitespaces) }
      return parts.count == 2 && parts[0] == "max-age" ? Int64(parts[1].trimmingCharacters(in: ["\""])) : nil
    }.first
  }

  private var transport: Finding? {
    guard answer.url.hasPrefix("http:") else { return nil }
    return Finding(
      .error, "no-tls", "It is published over http: whoever is on the way can replace the keys.",
      "RFC 8414 section 6.1")
  }

  private var caching: Finding? {
    let section = "RFC 9111 section 5.2.2"
    if says("no-store") || says("no-cache") {
      return Finding(
        .warning, "uncacheable",
        "Cache-Control forbids to keep it: verifiers ask often, or use a time of their own.", section)
    }
    guard let maxAge else {
      guard answer.fields["expires"] == nil else { return nil }
      return Finding(
        .warning, "no-freshness",
        "Neither Cache-Control max-age nor Expires: verifiers guess how long it is fresh.",
        section)
    }
    if maxAge < 60 {
      return Finding(
        .warning, "short-freshness",
        "max-age is \(maxAge) s: verifiers ask often, or use a time of their own.", section)
    }
    if maxAge > 86_400 {
      return Finding(
        .warning, "long-freshness",
        "max-age is \(Span.text(maxAge)): so long a key that is taken out may be trusted still.", section)
    }
    guard let age = answer.fields["age"].flatMap({ Int64($0) }), age >= maxAge else { return nil }
    return Finding(
      .warning, "too-old", "A cache on the way gives it for \(Span.text(age)) already, longer than max-age.",
      section)
  }

  private var validator: Finding? {
    guard answer.fields["etag"] == nil, answer.fields["last-modified"] == nil else { return nil }
    return Finding(
      .note, "no-validator", "Neither ETag nor Last-Modified: it is transferred whole each time.",
      "RFC 9110 section 8.8")
  }
}
