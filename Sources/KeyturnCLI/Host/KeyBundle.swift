import CKeyturnAPI
import Foundation

/// What an issuer has said, to be carried to where nobody can ask it: the answers as they came, when that was, and what
/// is revoked.
struct KeyBundle {
  let issuer: String
  /// In Unix seconds.
  let fetched: Int64
  let answers: [Exchange]
  let revocations: [Revocation]

  private static let form: Int64 = 1

  init(_ bench: Bench, fetched: Int64, revocations: [Revocation]) {
    issuer = bench.settings.issuer
    self.fetched = fetched
    answers = bench.cache.fetcher?.exchanges.filter { $0.status == 200 } ?? []
    self.revocations = revocations
  }

  var json: JSON {
    .object([
      "keyturn_bundle": .number(KeyBundle.form), "issuer": .text(issuer), "fetched": .number(fetched),
      "answers": .list(answers.map(\.json)),
      "revocations": .list(
        revocations.map { revocation in
          .object([
            "kind": .text(revocation.kind.rawValue), "value": .text(revocation.value),
            "issued_before": .number(revocation.issuedBefore), "until": .number(revocation.until),
          ])
        }),
    ])
  }

  init(_ document: JSON) throws(Complaint) {
    guard let form = document["keyturn_bundle"]?.whole else {
      throw Complaint("not a bundle of keyturn export")
    }
    guard form == KeyBundle.form else {
      throw Complaint("keyturn_bundle: form \(form) is not known; \(KeyBundle.form) is")
    }
    guard let issuer = document["issuer"]?.text, let fetched = document["fetched"]?.whole, fetched >= 0,
      let answers = document["answers"]?.elements, let revocations = document["revocations"]?.elements
    else { throw Complaint("issuer, fetched, answers or revocations is missing, or is something else") }
    (self.issuer, self.fetched) = (issuer, fetched)
    self.answers = try answers.enumerated().map { place, answer throws(Complaint) in
      guard let answer = Exchange(answer) else { throw Complaint("answers[\(place)]: not an answer") }
      return answer
    }
    self.revocations = try revocations.enumerated().map { place, value throws(Complaint) in
      guard let revocation = Revocation(value) else {
        throw Complaint("revocations[\(place)]: not a revocation")
      }
      return revocation
    }
  }
}

extension Exchange {
  fileprivate var json: JSON {
    .object([
      "url": .text(url), "body": .text(body.base64EncodedString()),
      "fields": .object(fields.mapValues { .text($0) }),
    ])
  }

  fileprivate init?(_ document: JSON) {
    guard let url = document["url"]?.text, let fields = document["fields"]?.members,
      let body = document["body"]?.text.flatMap({ Data(base64Encoded: $0) })
    else { return nil }
    self.init(url: url)
    status = 200
    self.body = body
    self.fields = fields.compactMapValues(\.text)
  }
}

extension Revocation {
  fileprivate init?(_ document: JSON) {
    guard let kind = document["kind"]?.text.flatMap(Kind.init(rawValue:)),
      let value = document["value"]?.text,
      let date = document["issued_before"]?.whole, let until = document["until"]?.whole
    else { return nil }
    self.init(kind: kind, value: value, issuedBefore: date, until: until)
  }
}
