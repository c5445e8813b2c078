// What the processes of a store have counted, all together, so that any of them can tell it.
//
//   sum up: something was counted here -> lock -> read the file -> what was counted since is added to it -> a new file
//   gather: read the files -> what others have counted, and to that what was counted here
//
// There is a file for each issuer, and one for what is of none, in a directory of their own. Sums outlive who has counted:
// there is nothing to be left behind, and nothing to be swept up. A number is added to a file in one step, and taken for
// added only by who has done it, so that one who is killed has either added it or not; what he had not yet is lost.
// That he was there is known by his seat, which he did not give back.
//
// Files are read and written outside of the control lock.
internal import CKeyturn

struct Summing: ~Copyable {
  /// Kept open, for a host that goes where the store's path does not lead; or -1.
  var directory: Int32 = -1
  /// That this process counts; -1 before it first sums up.
  var seat: Int32 = -1
  var place: Int32 = 0
  /// Since it has polled, and until it is stopped.
  var isCounting = false
  /// Something was counted that is in no sum, and that is not told yet.
  var hasGap = false
  /// A file is of another release, or cannot be had: what is told may be less than the sum.
  var isPartial = false
  /// Since then nothing here is a parent's.
  fileprivate var forks = ckeyturn_forks()
  /// When to sum up again; by who is in the gate alone.
  var next = Int64.min
  /// Where the next round begins.
  var chain = 0
  /// How many processes this one has missed.
  var missed: UInt64 = 0
  /// What is of no issuer.
  var sums = Sums()

  /// Where numbers of no issuer stand in place of a ledger's.
  static var uncounted: Int { 0 }
  static var droppedEvents: Int { 1 }
  static var missed: Int { 2 }

  /// More issuers are for the rounds that follow.
  fileprivate static var mostIssuers: Int { 512 }
}

extension Cache {
  /// Readers write nothing, and tell of nobody but themselves.
  var isSummed: Bool { store != nil && !isReader }

  var sumsArePartial: Bool { unsafe engine.pointee.summing.isPartial }

  /// Under the control lock; nil stands for what is of no issuer.
  func sums(of issuer: Issuer?) -> UnsafeMutablePointer<Sums> {
    if let issuer { return unsafe issuer.sums }
    return unsafe withUnsafeMutablePointer(to: &engine.pointee.summing.sums) { unsafe $0 }
  }

  // MARK: - Writing

  /// Once in a second, in the thread that polls. Who finds the lock taken comes again shortly.
  func sumUp(_ now: Int64) {
    guard isSummed else { return }
    forgetParent()
    guard unsafe now >= engine.pointee.summing.next else { return }
    ControlLock.with { unsafe engine.pointee.summing.isCounting = true }
    unsafe engine.pointee.summing.next = now &+ 250
    guard let lock = enterSums(waiting: 2) else { return }
    sumUp(nil)
    let share = CacheRecord.chains &* Summing.mostIssuers / max(Summing.mostIssuers, issuerCount)
    var walk = unsafe IssuerWalk(from: engine.pointee.summing.chain, chains: max(1, share))
    while let issuer = self.next(&walk) { sumUp(issuer) }
    unsafe engine.pointee.summing.chain = walk.chain
    unsafe engine.pointee.summing.next = now &+ 1_000
    ckeyturn_lock_leave(lock)
  }

  /// All that was counted, before the engine ends. Nobody misses this process from then on.
  func endSumming() {
    guard isCounting, let lock = enterSums(waiting: 200) else { return }
    var walk = IssuerWalk()
    while let issuer = next(&walk) { sumUp(issuer) }
    sumUp(nil)
    unsafe ckeyturn_lock_rise(engine.pointee.summing.seat, engine.pointee.summing.place)
    ControlLock.with { unsafe (engine.pointee.summing.seat, engine.pointee.summing.isCounting) = (-1, false) }
    ckeyturn_lock_leave(lock)
  }

  /// What an issuer has counted goes with it.
  func sumUpLast(_ issuer: Issuer) {
    guard isCounting, let lock = enterSums(waiting: 200) else { return }
    sumUp(issuer)
    ckeyturn_lock_leave(lock)
  }

  /// Under the lock: adds what this process has counted to the file, if it has counted anything since it last did so.
  @inline(never)
  private func sumUp(_ issuer: Issuer?) {
    let wall = clock.now
    var numbers = Sums.Numbers(repeating: 0)
    var span = numbers.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { buffer in
      let counted = unsafe Items(buffer.baseAddress, count: buffer.count)
      let isNews = ControlLock.with {
        disown(issuer)
        return count(issuer, into: counted)
      }
      guard isNews else { return }
      let sums = unsafe sums(of: issuer)
      do throws(StoreFault) {
        var isDamaged = false
        var file = try readSums(issuer, &isDamaged)
        var new = try ControlLock.with { () throws(StoreFault) in
          unsafe sums.pointee.take(&file)
          unsafe sums.pointee.isBeingWritten = true
          let hasGap = unsafe isDamaged || engine.pointee.summing.hasGap && issuer == nil
          let gap = hasGap && wall != .max ? UInt64(bitPattern: wall) : 0
          return try unsafe sums.pointee.next(counted, issuer?.keys, gap: gap)
        }
        try writeSums(issuer, new)
        ControlLock.with {
          if issuer == nil { unsafe engine.pointee.summing.hasGap = false }
          unsafe sums.pointee.take(&new)
          unsafe sums.pointee.settle(counted, issuer?.keys)
        }
      } catch {
        ControlLock.with {
          unsafe engine.pointee.summing.isPartial = true
          unsafe sums.pointee.isBeingWritten = false
        }
      }
    }
  }

  // MARK: - Reading

  /// Before somebody is told: what others have written meanwhile, of one issuer or of all.
  func gather(_ only: Issuer?) {
    guard isSummed else { return }
    forgetParent()
    guard openSums(isMade: false) else { return }
    gatherOne(nil)
    if let only { return gatherOne(only) }
    var walk = IssuerWalk()
    while let issuer = next(&walk) { gatherOne(issuer) }
  }

  @inline(never)
  private func gatherOne(_ issuer: Issuer?) {
    var isDamaged = false
    do throws(StoreFault) {
      var file = try readSums(issuer, &isDamaged)
      let sums = unsafe sums(of: issuer)
      ControlLock.with {
        disown(issuer)
        // What is being written is in the file already, and here not yet.
        if unsafe !sums.pointee.isBeingWritten { unsafe sums.pointee.take(&file) }
      }
    } catch { ControlLock.with { unsafe engine.pointee.summing.isPartial = true } }
  }

  // MARK: - What was counted here

  /// Under the control lock: all that is summed; whether any of it is news.
  @inline(never)
  private func count(_ issuer: Issuer?, into words: Items<UInt64>) -> Bool {
    Readers.add(outcomesOf: issuer?.id ?? id, to: words, from: Ledger.count)
    let sums = unsafe sums(of: issuer)
    if let issuer {
      issuer.keys?.countUses()
      for position in Ledger.count.times where Ledger.isSummed(position) {
        words.set(issuer.ledger.number(at: position), at: position)
      }
    } else {
      words.set(Readers.missing, at: Summing.uncounted)
      words.set(unsafe engine.pointee.journal.dropped, at: Summing.droppedEvents)
      words.set(unsafe engine.pointee.summing.missed, at: Summing.missed)
      let isUncounted = unsafe sums.pointee.isNews(words, at: Summing.uncounted)
      if isUncounted { unsafe engine.pointee.summing.hasGap = true }
      if unsafe engine.pointee.summing.hasGap { return true }
    }
    return unsafe sums.pointee.isNews(words)
  }

  /// In a child: what was counted before its start, its first poll, or before it is first asked, is the parent's. Many
  /// issuers are no reason to keep others waiting for the lock: one that was looked at is known by its mark.
  @inline(never)
  func forgetParent() {
    let isForked = ControlLock.with { unsafe engine.pointee.summing.forks != ckeyturn_forks() }
    guard isSummed, isForked else { return }
    ControlLock.with { disown(nil) }
    var walk = IssuerWalk()
    while let issuer = next(&walk) { ControlLock.with { disown(issuer) } }
    ControlLock.with { unsafe engine.pointee.summing.forks = ckeyturn_forks() }
  }

  /// Once in each child. Accepted tokens among it may be the child's.
  @inline(never)
  private func disown(_ issuer: Issuer?) {
    guard unsafe sums(of: issuer).pointee.isParents() else { return }
    if issuer == nil {
      unsafe (engine.pointee.summing.seat, engine.pointee.summing.isCounting) = (-1, false)
    }
    var numbers = Sums.Numbers(repeating: 0)
    var span = numbers.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { buffer in
      let counted = unsafe Items(buffer.baseAddress, count: buffer.count)
      let sums = unsafe sums(of: issuer)
      unsafe sums.pointee.isBeingWritten = false
      guard count(issuer, into: counted) else { return }
      if unsafe sums.pointee.isNews(counted, at: Ledger.count) {
        unsafe engine.pointee.summing.hasGap = true
      }
      unsafe sums.pointee.settle(counted, issuer?.keys)
    }
  }

  // MARK: - Seats

  private var isCounting: Bool {
    ControlLock.with {
      unsafe engine.pointee.summing.isCounting && engine.pointee.summing.forks == ckeyturn_forks()
    }
  }

  /// Takes the lock, and with it a seat; and misses those who have not given back theirs. Nil if another process has it.
  @inline(never)
  private func enterSums(waiting milliseconds: Int32) -> Int32? {
    guard openSums(isMade: true) else { return nil }
    let (directory, name) = unsafe (engine.pointee.summing.directory, CString.of("lock"))
    let lock = unsafe ckeyturn_lock_enter(directory, name, milliseconds)
    guard lock >= 0 else { return nil }
    let missed = UInt64(truncatingIfNeeded: ckeyturn_lock_missing(lock))
    var (seat, place) = unsafe (engine.pointee.summing.seat, Int32(0))
    let isNew = seat < 0
    if isNew { seat = unsafe ckeyturn_lock_sit(directory, name, &place) }
    ControlLock.with {
      if isNew { unsafe (engine.pointee.summing.seat, engine.pointee.summing.place) = (seat, place) }
      unsafe engine.pointee.summing.missed &+= missed
      if missed > 0 || seat < 0 { unsafe engine.pointee.summing.hasGap = true }
    }
    return lock
  }

  // MARK: - Files

  /// Opened in no lock, since what others have left unfinished is swept out of it: a child that is forked meanwhile has a
  /// descriptor too many.
  @inline(never)
  private func openSums(isMade: Bool) -> Bool {
    let isKnown = ControlLock.with { unsafe engine.pointee.summing.directory >= 0 }
    let opened = isKnown ? -1 : store?.openWithin("sums", isMade: isMade) ?? -1
    return ControlLock.with {
      if unsafe engine.pointee.summing.directory < 0 {
        unsafe engine.pointee.summing.directory = opened
      } else {
        ckeyturn_store_close(opened)
      }
      let isOpen = unsafe engine.pointee.summing.directory >= 0
      if isMade, !isOpen { unsafe engine.pointee.summing.isPartial = true }
      return isOpen
    }
  }

  /// What is there, if anything. What is damaged gives way to what is known here.
  @inline(never)
  private func readSums(_ issuer: Issuer?, _ isDamaged: inout Bool) throws(StoreFault) -> StoredFile {
    guard let directory = sumsDirectory else { throw .failed }
    do throws(StoreFault) {
      return try directory.read(sumsName(issuer), SumsPage.kind, atMost: SumsPage.largest)
    } catch .absent { return .empty } catch .damaged {
      isDamaged = true
      return .empty
    }
  }

  @inline(never)
  private func writeSums(_ issuer: Issuer?, _ file: borrowing StoredFile) throws(StoreFault) {
    try file.seal()
    try sumsDirectory?.write(sumsName(issuer), file, isForGood: false)
  }

  private var sumsDirectory: StoreDirectory? { unsafe store?.at(engine.pointee.summing.directory) }

  private func sumsName(_ issuer: Issuer?) -> StoreName {
    issuer?.storeName?.with(".sums") ?? StoreName("tokens.sums")
  }
}

extension Issuer {
  /// By all processes of the store; under the control lock.
  func uses(of key: Key) -> Uses {
    let uses = Readers.uses(of: key.id)
    return cache.isSummed ? unsafe sums.pointee.uses(of: key, uses) : uses
  }

  /// Whether nothing is known to have gone uncounted since the first of these uses.
  @inline(never)
  func isGapless(_ uses: Uses, isOwn: Bool) -> Bool {
    guard !isOwn else { return Readers.missing == 0 }
    let all = unsafe cache.sums(of: nil)
    let gap = unsafe max(sums.pointee.gap, all.pointee.gap)
    return !cache.sumsArePartial && (gap == 0 || uses.first > 0 && UInt64(bitPattern: uses.first) > gap)
  }
}
