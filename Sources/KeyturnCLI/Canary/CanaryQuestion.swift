import ArgumentParser
import CKeyturnAPI

/// What each worker of a gateway is to have made of a key.
enum Expectation: String, CaseIterable, ExpressibleByArgument {
  case accepted
  case refused
}

/// What a gateway's URL is.
enum Evidence: String, CaseIterable, ExpressibleByArgument {
  /// Protected: the answer to the token is the verdict.
  case token
  /// The page of issuers and keys.
  case keys
  /// Prometheus's text format, with metrics of each key.
  case metrics
}

/// Judges answers.
struct CanaryQuestion: Sendable {
  /// What one answer says of the worker that gave it.
  struct Finding {
    /// Nil: neither accepted nor refused.
    var verdict: Expectation?
    let why: String
    /// Nil: it does not say who it is.
    var worker: Int64?
  }

  let expected: Expectation
  let evidence: Evidence
  let issuer: String
  let kid: String

  func finding(_ answer: Exchange) -> Finding {
    guard answer.failure == JWKS_FETCH_ANSWERED else {
      // A failed fetch is told in the fetcher's words, which follow the library's own.
      let result = jwks_fetch_result(rawValue: answer.failure.rawValue + JWKS_FETCHED_REFUSED.rawValue - 1)
      return Finding(why: result.reason)
    }
    if evidence == .token { return status(answer) }
    guard answer.status == 200 else { return Finding(why: "its HTTP status is \(answer.status)") }
    return evidence == .keys ? page(answer) : metrics(answer)
  }

  private func status(_ answer: Exchange) -> Finding {
    let why = "it answers the token with \(answer.status)"
    switch answer.status {
    case 200..<300:
      let worker = (try? JSON.parse(answer.body, from: ""))?["process"]?.whole
      return Finding(verdict: .accepted, why: why, worker: worker)
    case 401: return Finding(verdict: .refused, why: why)
    case 503: return Finding(why: "\(why): the issuer's keys may not be at hand")
    default: return Finding(why: "\(why), which is no verdict")
    }
  }

  private func page(_ answer: Exchange) -> Finding {
    guard let page = try? JSON.parse(answer.body, from: ""), let issuers = page["issuers"]?.elements else {
      return Finding(why: "it is no page of keys")
    }
    let worker = page["process"]?.whole
    guard let told = issuers.first(where: { $0["issuer"]?.text == issuer }) else {
      return Finding(why: "it does not know the issuer", worker: worker)
    }
    guard told["ready"] == .flag(true) else {
      return Finding(why: "it serves no key of the issuer", worker: worker)
    }
    let keys = (told["keys"]?.elements ?? []).filter { $0["kid"]?.text == kid && $0["fault"]?.whole == 0 }
    return keys.isEmpty || keys.contains { $0["revoked"] == .flag(false) }
      ? held(!keys.isEmpty, by: worker)
      : Finding(verdict: .refused, why: "the key is revoked", worker: worker)
  }

  private func metrics(_ answer: Exchange) -> Finding {
    // They show such a kid as "", which is to say nothing of it.
    guard !kid.unicodeScalars.contains(where: Terminal.isUnsafe) else {
      return Finding(why: "metrics name no kid with control characters")
    }
    let metrics: GatewayMetrics
    do throws(Complaint) { metrics = try GatewayMetrics(answer.body) } catch {
      return Finding(why: error.description)
    }
    guard let isReady = metrics.isReady(issuer) else {
      return Finding(why: "its metrics do not know the issuer")
    }
    guard isReady else { return Finding(why: "it serves no key of the issuer") }
    guard let kids = metrics.kids(of: issuer) else {
      return Finding(why: "its metrics are without per_key")
    }
    return held(kids.contains(kid), by: nil)
  }

  private func held(_ isHeld: Bool, by worker: Int64?) -> Finding {
    isHeld
      ? Finding(verdict: .accepted, why: "the key is in its set", worker: worker)
      : Finding(verdict: .refused, why: "the key is not in its set", worker: worker)
  }
}
