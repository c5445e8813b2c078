@testable import Keyturn

/// A rotation to be rehearsed, as its file says it: what the issuer does, what lies between, and who verifies. All times
/// are milliseconds from the start of the rehearsal.
struct Scenario {
  struct Issuer {
    /// max-age; whole seconds.
    var freshness: Int64 = 300_000
    var tokenLifetime: Int64 = 3_600_000
    /// From a step until the last of its servers has made it.
    var propagation: Int64 = 0
    var servers = 3
    /// How far its clock is ahead.
    var clock: Int64 = 0
    var isDiscovered = false
  }

  struct Step {
    enum Act { case publish, sign, retire, gone }

    let at: Int64
    let act: Act
    let key: Int
  }

  /// Caches side by side; the layers stand behind each other.
  struct Cache {
    var name: String
    var nodes = 1
    /// In `Age`, what it counts and passes on. Who does not keeps every answer for max-age.
    var tellsAge = true
    /// When it asked in earnest, if it has.
    var asked: [Int64] = []
  }

  struct Group {
    var name: String
    var count = 1
    /// The layers on the way, from the issuer on.
    var caches: [Int] = []
    var requestsPerSecond = 1.0
    var leeway: Int64 = 30_000
    /// How far its clocks are ahead, and by how much more or less each of them is.
    var clock: Int64 = 0
    var skew: Int64 = 0
    var latency: Int64 = 50
    var settings = RefreshSettings()
    /// Nothing is fetched here, but brought so often.
    var pushedEvery: Int64?
    /// Started at once, and with no key set at hand.
    var isCold = false
    var recorded: Record?
  }

  /// Of a verifier that has lived in earnest.
  struct Record {
    struct Fetch {
      let at: Int64
      let landed: Int64
    }

    /// Without a key: one that nobody has.
    struct Token {
      let at: Int64
      let key: Int?
    }

    var fetches: [Fetch] = []
    var tokens: [Token] = []
  }

  enum Place: Hashable {
    case issuer
    case cache(Int)
    case group(Int)
  }

  struct Outage {
    var place: Place
    var from: Int64
    var to: Int64
    /// Whether it is silent instead of refusing.
    var hangs = false
    var retryAfter: Int64?
  }

  /// Tokens with random kids, at each verifier.
  struct Attack {
    var group: Int?
    var from: Int64
    var to: Int64
    var kidsPerSecond: Double
  }

  var title = ""
  var isPlan = false
  var seed: UInt64 = 1
  var duration: Int64 = 86_400_000
  /// Whether there are verifiers and caches that ask at the worst moment.
  var hasWorstCase = false
  /// Of all tokens, those that are used when they are issued; the others are of any age.
  var freshShare = 0.1
  var issuer = Issuer()
  var keys: [String] = []
  /// How many of the keys are published from the start, the first of which signs.
  var published = 1
  var steps: [Step] = []
  var caches: [Cache] = []
  var groups: [Group] = []
  var outages: [Outage] = []
  var attacks: [Attack] = []
}

extension Scenario {
  static let mostVerifiers = 100_000
  static let mostKeys = 32
  static let mostSeed: UInt64 = 1 << 53
  /// Millionths of them are counted.
  static let mostTokens = 4e12
  static let longest: Int64 = 31 * 86_400_000

  var tokens: Double {
    groups.reduce(0) { $0 + Double($1.count) * $1.requestsPerSecond * Double(duration) / 1_000 }
  }

  var verifiers: Int { groups.reduce(0) { $0 + $1.count } }

  /// When nobody is to trust the key any more: as it is said, or at once when it is retired.
  func gone(_ key: Int) -> Int64 {
    let retired = steps.last { $0.act == .retire && $0.key == key }
    let gone = steps.last { $0.act == .gone && $0.key == key }
    guard let retired, !steps.contains(where: { $0.act == .publish && $0.key == key && $0.at > retired.at })
    else { return .max }
    return gone?.at ?? retired.at
  }
}
