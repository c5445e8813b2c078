import CKeyturnAPI
import Foundation

/// Times as people say them. Those that are too far off to be meant are numbers, and not reckoned with.
enum Moment {
  static func isMeant(_ seconds: Int64) -> Bool { seconds.magnitude < 1 << 38 }

  static func text(_ seconds: Int64) -> String {
    guard isMeant(seconds) else { return String(seconds) }
    return Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
  }

  /// Unix seconds, or ISO 8601 with a zone.
  static func seconds(_ text: String) -> Int64? {
    let seconds = Int64(text) ?? (try? Date(text, strategy: .iso8601)).map { Int64($0.timeIntervalSince1970) }
    return seconds.flatMap { isMeant($0) ? $0 : nil }
  }
}

/// Lengths of time: "90 s", "15 min", "2 h 5 min", as people say them; "90s", "15m", "2h", "1d" as they write them.
enum Span {
  static func text(_ seconds: Int64) -> String {
    let whole = seconds.magnitude
    let parts = [
      (whole / 86_400, "d"), (whole / 3_600 % 24, "h"), (whole / 60 % 60, "min"), (whole % 60, "s"),
    ]
    let said = parts.filter { $0.0 > 0 }.prefix(2).map { "\($0.0) \($0.1)" }
    return said.isEmpty ? "0 s" : said.joined(separator: " ")
  }

  static func seconds(_ text: String) -> Int64? {
    let unit = text.drop { $0.isNumber }
    guard let number = Int64(text.prefix(text.count - unit.count)), number < 1 << 40 else { return nil }
    switch unit {
    case "", "s": return number
    case "m", "min": return number * 60
    case "h": return number * 3_600
    case "d": return number * 86_400
    default: return nil
    }
  }
}

/// What stands for something that is not to be shown.
enum Digest {
  static func short(_ text: String) -> String { "sha256:" + String(SHA256.hex(Array(text.utf8)).prefix(16)) }
}

extension jwt_status {
  var name: String { String(cString: jwt_status_name(self)) }
  var sentence: String { String(cString: jwt_status_message(self)) }
}

extension jwks_fetch_result {
  /// Why there is no new set, as half a sentence.
  var reason: String {
    switch self {
    case JWKS_FETCHED_EMPTIED: "it publishes no key that can be used"
    case JWKS_FETCHED_REGRESSED: "what came is older than what is in force"
    case JWKS_FETCHED_REFUSED: "the URL, a redirect or the address is not allowed"
    case JWKS_FETCHED_RESOLVE: "its name is not known"
    case JWKS_FETCHED_CONNECT: "nobody answers there"
    case JWKS_FETCHED_TLS: "TLS fails: its certificate is not to be trusted, or not its own"
    case JWKS_FETCHED_TIMEOUT: "it took too long"
    case JWKS_FETCHED_TOO_LARGE: "what came is too large"
    case JWKS_FETCHED_BROKEN: "the connection broke, or what came is not HTTP"
    case JWKS_FETCHED_HTTP_STATUS: "its HTTP status is neither 200 nor 304"
    case JWKS_FETCHED_DOCUMENT: "what came is no JWK Set that can be accepted"
    case JWKS_FETCHED_DISCOVERY: "its discovery document cannot be used, or names another issuer"
    case JWKS_FETCHED_LOCAL: "this machine has no memory for it"
    default: "it failed"
    }
  }
}
