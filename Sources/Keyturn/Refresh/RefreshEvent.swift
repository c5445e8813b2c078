/// Where an issuer's keys come from.
enum RefreshSource: UInt8, BitwiseCopyable {
  /// A document that says where the keys are.
  case discovery
  case keysURL
  /// A file or pushed bytes: nothing is fetched.
  case pinned
}

/// How the keys stand. Readers do not ask it: they compare the clock with `servedUntil`.
enum SourceState: UInt8, BitwiseCopyable {
  case empty
  case fresh
  case stale
  case expired
  case pinned
  case disabled
}

/// Why there is a flight: everything that one admission stands for, discovery and redirects included.
enum FlightReason: UInt8, BitwiseCopyable {
  case start
  case schedule
  case retry
  case missingKid
  case rekey
  case byOperator
  /// Another process makes it; why, it knows.
  case elsewhere
}

struct Flight: BitwiseCopyable {
  /// Whether it begins by asking where the keys are.
  enum Discovery: UInt8, BitwiseCopyable {
    case none
    /// If it fails, the place that is known is asked.
    case preferred
    case required
  }

  /// Never used again in one process; 0 is none.
  let id: UInt64
  let reason: FlightReason
  var discovery: Discovery
  /// Whether tokens wait for it although no key is served: a first fetch, or the first after idleness.
  let opens: Bool
  /// When it was admitted; once launched, when it left.
  var began: Int64
  /// When it is lost; not before it is launched.
  var endsBy: Int64 = .max
  var isElsewhere = false
  /// By an agent, which alone fetches.
  var isAgents = false
}

/// What an accepted answer says beside its keys.
struct Answer: BitwiseCopyable {
  /// From `HTTPFreshness.lifetime`.
  var freshness: Int64
  /// From `HTTPFreshness.generated`.
  var generated: Int64?
  var mustRevalidate = false
  /// Whether discovery was asked in this flight and answered.
  var isDiscovered = false
}

enum FlightEnd: BitwiseCopyable {
  /// 304.
  case notModified(Answer)
  /// 200 with a document that is not refused as a whole. `isEmpty`: there is no usable key in it.
  case keys(Answer, digest: UInt64, isEmpty: Bool)
  /// Anything else, refused documents included.
  case failed(retryAfter: Int64?)
  /// The key set's URL answered 404 or 410.
  case gone
}

enum RefreshEvent: BitwiseCopyable {
  /// Once. `stored` is the set that a store had, whose age counts; a lazy issuer waits for its first token.
  case start(stored: RefreshRecord.Accepted?, isLazy: Bool)
  case tick
  /// Tokens have named the issuer since the last such event, or since then at the latest.
  case named
  /// A token found no key served.
  case asked
  /// A token named a kid that the set in force has not got, after everything else that can refuse it.
  case missed
  /// Under a kid that is in the set.
  case badSignature
  case askedByOperator
  /// The flight has left the queue.
  case launched(flight: UInt64)
  /// The flight needs one more request: discovery and what follows it, a redirect, a retry.
  case furtherRequest(flight: UInt64)
  /// A fetch of the flight has taken so many more requests than one.
  case requested(flight: UInt64, further: Int64)
  case ended(flight: UInt64, FlightEnd)
  /// The lock was denied: another process has been fetching since then.
  case takenElsewhere(since: Int64)
  /// Nothing is fetched in this process: an agent was told of the flight that has begun.
  case leftToAgent
  /// The agent has answered that nothing comes of it: it has asked nobody, or has failed.
  case answered(isFailure: Bool)
  /// The lock was granted, and what others have written is known: the flight is paid for once more, by what all of
  /// them have left.
  case granted(flight: UInt64)
  /// What another process has written; `isOver` if the lock is free again.
  case synced(RefreshRecord, isOver: Bool)
  /// `freshness` as in an answer; nil for the default.
  case pushed(digest: UInt64, freshness: Int64? = nil)
  /// The host has changed the settings. `asksAnew`: also what is asked for, or what is made of it; `isEmptied`: none of
  /// the keys in force is left by that.
  case updated(RefreshSource, asksAnew: Bool, isEmptied: Bool)
  /// What was under way is over, and nobody's fault: the process was forked, or its engine stopped.
  case interrupted
  /// For good if the issuer is removed.
  case disabled
  case enabled
}

/// Why a token asks for no flight.
enum MissRefusal: UInt8, BitwiseCopyable {
  case demandSpent
  case totalSpent
  case backingOff
  /// Nothing is fetched for it: pinned keys, or a bad signature that does not count.
  case notFetched
}

/// What the engine has to do. After each it publishes `servedUntil`, if that has moved, and waits until
/// `deadline`, which may be now.
enum RefreshAction: BitwiseCopyable {
  case nothing
  /// Queue this flight. Who asked is pending on it.
  case begin(Flight)
  /// It took too long: cancel it; its waiters wake.
  case abandon(flight: UInt64)
  /// Publish the candidate and drop the refused kids; waiters wake.
  case adopt
  /// The set in force is confirmed; waiters wake.
  case renew
  /// The candidate is dropped, and the set in force stays; waiters wake.
  case hold(HoldReason)
  /// The flight failed; waiters wake.
  case fail
  case wake
  /// Nobody has named the issuer for long: it is left alone from now on.
  case rest
  /// The keys grow old, or a pinned set's end is near.
  case warn
  /// Send the further request, or end the flight as failed. To `takenElsewhere`: go on in spite of the lock.
  case proceed
  case stop
  /// The answers to who asked.
  case pending(flight: UInt64)
  case refuse(MissRefusal)
  case unavailable(retryAfter: Int64)
  /// Things have changed meanwhile.
  case askAgain
  /// An operator asks too often.
  case tooOften
}

enum HoldReason: UInt8, BitwiseCopyable {
  case emptied
  case regressed
}
