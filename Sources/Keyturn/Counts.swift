/// What is told as a counter.
struct Counts {
  let cache: Cache
  /// Of this process alone.
  let isOwn: Bool

  /// A reader, and who has no store, tells of itself alone.
  init(_ cache: Cache, isOwn: Bool) {
    self.cache = cache
    self.isOwn = isOwn || !cache.isSummed
  }

  func gather(_ issuer: Issuer?) { if !isOwn { cache.gather(issuer) } }

  @inline(never)
  func tokens(_ issuer: Issuer?, _ outcome: Outcome) -> UInt64 {
    Readers.total(of: issuer?.id ?? cache.id, outcome) &+ others(issuer, Ledger.count &+ outcome.word)
  }

  /// What is of no issuer.
  func number(_ position: Int) -> UInt64 {
    let own: UInt64 =
      switch position {
      case Summing.uncounted: Readers.missing
      case Summing.droppedEvents: unsafe cache.engine.pointee.journal.dropped
      case Summing.missed: unsafe cache.engine.pointee.summing.missed
      case 3: isOwn || cache.sumsArePartial ? 0 : 1
      default: UInt64(truncatingIfNeeded: cache.issuerCount)
      }
    return own &+ others(nil, position)
  }

  func number(_ issuer: Issuer, _ position: Int) -> UInt64 {
    issuer.ledger.number(at: position) &+ others(issuer, position)
  }

  /// By the other processes, and those before them.
  @inline(never)
  func others(_ issuer: Issuer?, _ position: Int) -> UInt64 {
    isOwn ? 0 : unsafe cache.sums(of: issuer).pointee.others(at: position)
  }

  func uses(_ issuer: Issuer, _ key: Key) -> Uses {
    isOwn ? Readers.uses(of: key.id) : issuer.uses(of: key)
  }
}
