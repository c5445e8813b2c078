/// One issuer's place in the store.
struct Shelf: BitwiseCopyable {
  /// Of the file of its keys.
  let name: StoreName
  /// By which a reader names it to an agent.
  let digest: IssuerDigest
  var lock = FlightLock()
  /// What the agent was last asked, by its hash; 0 for no kid.
  var asked: UInt64 = 0
  /// The file that was last read or written here.
  var seen: FileMark?
  /// When one that could not be used is tried again, though it has not changed.
  var retriesFrom: Int64 = .max

  static var retryInterval: Int64 { 10_000 }

  init(_ issuer: Bytes) throws(Status) {
    digest = try IssuerDigest.of(issuer)
    name = StoreName(digest, StoredKeys.ending)
  }

  var lockName: StoreName { name.with(FlightLock.ending) }
}

/// What a process has last seen of the store as a whole.
struct StoreLook: BitwiseCopyable {
  var next: Int64 = .min
  var modified: Int64?
  /// Something had changed then; what changed a moment later may bear the same time.
  var isFresh = false
}
