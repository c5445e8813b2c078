// What keeps the keys of a cache's issuers fresh. `RefreshState` decides, for each issuer alone; here its decisions
// are carried out, whenever the host polls, or by a thread that waits for what is due:
//
//   what readers ask, what is due -> queue of flights -> the host's fetcher -> answers -> new keys, new times
//
// Everything is changed under the control lock, and nothing of the host's is called there: the fetcher is called in
// between, by the one thread that does the work. An issuer that goes takes its flight with it: the answer, when
// it comes, finds nobody who wants it.
internal import CKeyturn
internal import Synchronization

@safe struct Engine: ~Copyable {
  /// First, like what else changes under the control lock first in its record: ThreadSanitizer notes a change of
  /// any field there.
  var roster: Roster
  var journal: Journal
  /// How many of its issuers need a fetcher.
  var fetched = 0
  /// The host's; or while it is started, one that was opened for it.
  private(set) var hook: FetchHook?
  let clock: SteadyClock
  var queue: FlightQueue
  /// Held as the fetcher held them.
  var completed = FetchList()
  /// To be told so; held once more for that.
  var cancelled = FetchList()
  /// When the store was last looked into, and how it was then.
  var storeLook = StoreLook()
  /// Of the store as a whole.
  var troubles = Troubles()
  /// What siblings have counted.
  var summing = Summing()
  /// Unix seconds, as they were when somebody last came to change something.
  var wall: Int64 = 0
  var feed: Feed
  /// Something happened since a poll last looked around.
  var isWoken = false
  var driver = Driver()
  /// Those to be called for who has woken; held.
  var calls: Loop?
  /// A key that has earned a table; held. Others wait until it has got it.
  let earner = unsafe Atomic<UnsafeMutableRawPointer?>(nil)
  /// Which process is making it: how many forks there were, and 1; 0 for none. Under the control lock.
  var maker: UInt64 = 0
  /// Whether what fetches is here without being opened: the host's, or elsewhere.
  let isHosted: Bool
  /// For readers.
  let hasHook: Atomic<Bool>
  let forks = Atomic(ckeyturn_forks())
  /// When it last was known how late it is.
  let latest = Atomic<Int64>(0)
  let gate = Gate()
  /// When siblings' revocations are to be looked for again; by who is in the gate alone.
  var nextLook: Int64 = .min
  /// When the next poll has something to do; anything that happens outside of a poll sets it to the beginning.
  let due = Atomic<Int64>(.min)

  init(
    _ hook: FetchHook?, _ clock: SteadyClock, _ feed: Feed, maximumIssuers: Int, maximumFetches: Int,
    maximumEvents: Int
  )
    throws(Status)
  {
    let roster = try Roster(maximum: maximumIssuers)
    let journal = try Journal(maximum: maximumEvents)
    self.roster = roster
    self.journal = journal
    self.hook = hook
    self.clock = clock
    self.feed = feed
    isHosted = hook != nil || feed.role == .reader
    hasHook = Atomic(isHosted)
    queue = FlightQueue(.none, failing: .none, most: maximumFetches)
  }

  mutating func set(_ hook: FetchHook?) {
    self.hook = hook
    hasHook.store(hook != nil, ordering: .releasing)
  }

  /// nil if the host has given one, which stays.
  mutating func giveBackOpened() -> FetchHook? {
    guard !isHosted else { return nil }
    defer { set(nil) }
    return hook
  }
}

/// Lets one thread in. Whoever comes meanwhile has it look again instead.
struct Gate: ~Copyable {
  private let state = Atomic<Int>(Gate.open)

  private static var open: Int { 0 }
  private static var taken: Int { 1 }
  private static var wanted: Int { 2 }

  func enter() -> Bool {
    let (isMine, _) = state.compareExchange(
      expected: Gate.open, desired: Gate.taken, ordering: .acquiringAndReleasing)
    return isMine || state.exchange(Gate.wanted, ordering: .acquiringAndReleasing) == Gate.open
  }

  /// False if there is something to look at again.
  func leave() -> Bool {
    let (isLeft, _) = state.compareExchange(
      expected: Gate.taken, desired: Gate.open, ordering: .acquiringAndReleasing)
    if !isLeft { _ = state.exchange(Gate.taken, ordering: .acquiringAndReleasing) }
    return isLeft
  }

  func reopen() { state.store(Gate.open, ordering: .releasing) }
}

// MARK: - A poll

extension Cache {
  /// By the host: does what is due, and tells in how many milliseconds something will be.
  func poll() throws(Status) -> Int64 {
    guard !isForked else { throw .forked }
    guard !isStarted else {
      unsafe engine.pointee.roster.bell.wake()
      return .max
    }
    guard unsafe engine.pointee.isHosted || store != nil || !isFetching else { throw .noFetcher }
    beginAfterFork()
    let next = turn()
    return tableMaking == .always && makeTable() ? 0 : next
  }

  func turn() -> Int64 {
    hear()
    guard steadyNow != .max else { return 1_000 }  // a host that does not know the time, for now
    guard isDue else { return untilDue }
    guard unsafe engine.pointee.gate.enter() else { return 10 }
    repeat { work() } while unsafe !engine.pointee.gate.leave()
    return untilDue
  }

  /// For what changes: while the clock does not know the time, it is as late as it last was.
  @inline(never)
  var time: Int64 {
    let now = steadyNow
    guard now == .max else {
      unsafe engine.pointee.latest.store(now, ordering: .relaxed)
      return now
    }
    return unsafe engine.pointee.latest.load(ordering: .relaxed)
  }

  private var isDue: Bool {
    let due = unsafe engine.pointee.due.load(ordering: .acquiring)
    return unsafe engine.pointee.roster.isAnyRinging || steadyNow >= due
  }

  private var untilDue: Int64 {
    let (left, isLong) = unsafe engine.pointee.due.load(ordering: .acquiring).subtractingReportingOverflow(
      steadyNow)
    let (until, pause) = (isLong ? 0 : max(0, left), listen().pause)
    return pause > 0 ? min(until, pause) : until
  }

  /// Answers that are at hand are followed up at once.
  private func work() {
    lookAtFiles(time)
    repeat {
      let now = time
      lookAtRevocations(now)
      let wall = clock.now
      ControlLock.with {
        unsafe engine.pointee.wall = wall
        lookAround(now)
      }
      while let fetch = ControlLock.with({ nextLaunch(now) }) { start(fetch) }
      tellAllCancelled()
      callLoops()
    } while landNext()
    let now = time
    sumUp(now)
    ControlLock.with { settleDue(now) }
  }

  /// Under the control lock.
  private func lookAround(_ now: Int64) {
    unsafe engine.pointee.isWoken = false
    lookIntoStore(now)
    unsafe engine.pointee.roster.visitRinging { seat in
      guard let issuer = seat.issuer else { return }
      answer(issuer.source, issuer, now)
    }
    unsafe engine.pointee.roster.visit { seat in
      guard seat.deadline <= now, let issuer = seat.issuer else { return }
      let source = issuer.source
      wake(issuer, until: now)
      if source.takeNamed() { _ = source.next(.named, now: now) }
      let wasAsked = source.flight?.isAgents == true
      settle(source, issuer, source.next(.tick, now: now), now)
      if wasAsked, source.flight?.isAgents != true { missAgent(now) }
    }
  }

  /// What readers have asked.
  func answer(_ source: Source, _ issuer: Issuer, _ now: Int64) {
    let calls = source.takeCalls()
    if calls & Door.Call.named != 0 { settle(source, issuer, source.next(.named, now: now), now) }
    if calls & Door.Call.asked != 0 { settle(source, issuer, source.next(.asked, now: now), now) }
    if calls & Door.Call.badSignature != 0 {
      settle(source, issuer, source.next(.badSignature, now: now), now)
    }
    if calls & Door.Call.missed != 0 { settle(source, issuer, source.next(.missed, now: now), now) }
  }

  /// Under the control lock, so that no completion or call is overlooked.
  private func settleDue(_ now: Int64) {
    var due = store == nil ? Int64.max : unsafe min(now &+ Cache.storeInterval, engine.pointee.nextLook)
    if isSummed { due = unsafe min(due, engine.pointee.summing.next) }
    unsafe engine.pointee.roster.visit { seat in due = min(due, seat.deadline) }
    let isCalled = unsafe engine.pointee.roster.isAnyRinging
    if unsafe isCalled || engine.pointee.isWoken || engine.pointee.completed.first != nil { due = .min }
    unsafe engine.pointee.due.store(due, ordering: .releasing)
  }
}

// MARK: - Changes, all under the control lock

extension Cache {
  /// Something happened outside of a poll.
  @inline(never)
  func wakeEngine() {
    unsafe engine.pointee.isWoken = true
    unsafe engine.pointee.due.store(.min, ordering: .releasing)
    if isStarted, !isForked { unsafe engine.pointee.roster.bell.wake() }
  }

  func seat(_ issuer: Issuer, _ source: Source) throws(Status) {
    let seat = try unsafe engine.pointee.roster.add(issuer, &engine.pointee.queue)
    source.sit(seat.id, seat.bell)
    count(source, 1)
  }

  /// With the keys that the store has of it, if they still count.
  func begin(
    _ issuer: Issuer, _ source: Source, _ stored: borrowing StoredKeys, now: Int64, wall: Int64
  ) {
    let accepted = takeOver(stored, issuer, source, now: now, wall: wall)
    let isServed = accepted != nil || !source.isFetched
    guard unsafe isServed || isReader || engine.pointee.hook != nil else { return source.publish(now: now) }
    begin(issuer, source, now, stored: accepted)
  }

  /// Once, and if it is fetched when there is a fetcher, or a store that has its keys.
  func begin(_ issuer: Issuer, _ source: Source, _ now: Int64, stored: RefreshRecord.Accepted? = nil) {
    guard source.isFirst() else { return }
    settle(source, issuer, source.next(.start(stored: stored, isLazy: source.terms.isLazy), now: now), now)
    wakeEngine()
  }

  /// It goes, and its flight with it.
  func unseat(_ issuer: Issuer, _ source: Source) {
    guard unsafe engine.pointee.roster.issuer(at: source.seat) == issuer else { return }
    // The host's clock is not asked under the lock, and an end needs no time.
    source.isUnkept = false
    settle(source, issuer, source.next(.disabled, now: 0), 0)
    count(source, -1)
    unsafe engine.pointee.roster.remove(source.seat)
    wakeEngine()
  }

  /// Whether an issuer needs a fetcher.
  var isFetching: Bool { ControlLock.with { unsafe engine.pointee.fetched > 0 } }

  private func count(_ source: Source, _ more: Int) {
    if source.isFetched { unsafe engine.pointee.fetched &+= more }
  }

  /// Other terms, which are the source's from now on. What was asked by the old ones is dropped if it differs.
  func update(
    _ issuer: Issuer, _ source: Source, _ terms: SourceTerms, isRuledAnew: Bool, isEmptied: Bool, now: Int64
  ) {
    let asksAnew = isRuledAnew || !source.terms.asksLike(terms)
    count(source, -1)
    source.replace(terms)
    count(source, 1)
    if asksAnew { source.replaced() }
    let event = RefreshEvent.updated(terms.kind, asksAnew: asksAnew, isEmptied: isEmptied)
    settle(source, issuer, source.next(event, now: now), now)
    wakeEngine()
  }

  func pushed(_ issuer: Issuer, _ source: Source, digest: UInt64, now: Int64) {
    source.replaced()
    let freshness = HTTPFreshness().lifetime(hint: issuer.notes.refreshHint, source.settings)
    settle(source, issuer, source.next(.pushed(digest: digest, freshness: freshness), now: now), now)
    wakeEngine()
  }

  func refresh(_ issuer: Issuer, _ source: Source, now: Int64) throws(Status) {
    let action = source.next(.askedByOperator, now: now)
    settle(source, issuer, action, now)
    wakeEngine()
    if case .tooOften = action { throw .throttled }
  }

  /// Carries out what was decided, and publishes what has come of it. The new keys are in their place by now.
  /// Not inlined, since all that happens comes here.
  @inline(never)
  func settle(_ source: Source, _ issuer: Issuer, _ action: RefreshAction, _ now: Int64) {
    if case .begin(let flight) = action { depart(flight, source, issuer, now) }
    dropWhatIsOver(source)
    giveBack(issuer, source)
    source.publish(now: now)
    if source.countEnd(now: now) {
      wake(issuer)
      if source.state.lastFlightFailed { tellOfFailure(issuer, now) }
    }
    let deadline = min(source.deadline, issuer.waiters.first?.until ?? .max)
    unsafe engine.pointee.roster.set(deadline: deadline, at: source.seat)
  }

  private func depart(_ flight: Flight, _ source: Source, _ issuer: Issuer, _ now: Int64) {
    guard !isReader else { return leave(flight, issuer, source, now) }
    let entry = source.entry(of: flight, seat: source.seat, now: now)
    dropWhatIsOver(source)
    source.waiting = entry
    guard unsafe !engine.pointee.queue.add(entry, now: now) else { return }
    _ = source.next(.ended(flight: flight.id, .failed(retryAfter: nil)), now: now)
  }

  /// A flight that has ended leaves the air, and its fetch is no longer wanted.
  private func dropWhatIsOver(_ source: Source) {
    let current = source.flight?.id
    if let entry = source.waiting, entry.flight != current {
      source.waiting = nil
      unsafe engine.pointee.queue.remove(entry)
    }
    if let entry = source.entry, entry.flight != current {
      source.entry = nil
      unsafe engine.pointee.queue.finished(entry)
    }
    guard let fetch = source.fetch, fetch.ticket.flight != current else { return }
    source.fetch = nil
    guard !fetch.progress.isCompleted else { return }
    fetch.progress.isOrphan = true
    if fetch.progress.isStarted { cancelLater(fetch) }
  }

  private func cancelLater(_ fetch: Fetch) {
    fetch.retain()
    unsafe engine.pointee.cancelled.append(fetch)
  }
}

// MARK: - Fetches

extension Cache {
  /// Under the control lock: the next flight that may leave, as the fetch that it begins with. All wait for a fetcher.
  private func nextLaunch(_ now: Int64) -> Fetch? {
    while unsafe engine.pointee.hook != nil, let entry = unsafe engine.pointee.queue.start() {
      guard let issuer = unsafe engine.pointee.roster.issuer(at: entry.issuer),
        issuer.source.flight?.id == entry.flight, mayLeave(issuer, issuer.source, entry.flight, now),
        case .proceed = issuer.source.next(.launched(flight: entry.flight), now: now)
      else {
        unsafe engine.pointee.queue.finished(entry)
        continue
      }
      let source = issuer.source
      share(issuer, source)
      source.launch(entry)
      let mustAsk = source.flight?.discovery != Flight.Discovery.none || source.keysURL.isEmpty
      if let fetch = makeFetch(issuer, source, isDiscovery: source.target.isDiscovered && mustAsk, now) {
        return fetch
      }
    }
    return nil
  }

  /// Under the control lock. Without memory the flight has failed.
  @inline(never)
  func makeFetch(_ issuer: Issuer, _ source: Source, isDiscovery: Bool, _ now: Int64) -> Fetch? {
    guard let flight = source.flight, let hook = unsafe engine.pointee.hook else { return nil }
    let ticket = FetchTicket(seat: source.seat, flight: flight.id, isDiscovery: isDiscovery)
    do throws(Status) {
      let fetch = try unsafe Fetch.make(
        ticket, source.plan(isDiscovery: isDiscovery, now: now), owner: memory, hook)
      retainMemory()
      source.fetch = fetch
      settle(source, issuer, .nothing, now)
      return fetch
    } catch {
      settle(source, issuer, source.next(.ended(flight: flight.id, .failed(retryAfter: nil)), now: now), now)
      return nil
    }
  }

  /// Hands it to the host. What was dropped before that is told now.
  func start(_ fetch: Fetch) {
    fetch.retain()
    fetch.start()
    ControlLock.with {
      fetch.progress.isStarted = true
      if fetch.progress.isOrphan, !fetch.progress.isCompleted { cancelLater(fetch) }
    }
    fetch.release()
  }

  /// Tells of what has changed, in no lock. The thread tells the fetcher, where there is one.
  @inline(never)
  func tell() {
    callLoops()
    guard !isStarted else { return }
    tellAllCancelled()
  }

  @inline(never)
  func tellAllCancelled() {
    while let fetch = ControlLock.with({ unsafe engine.pointee.cancelled.removeFirst() }) {
      if fetch.isOfThisProcess { fetch.cancel() }
      fetch.release()
    }
  }

  /// The fetcher has let go of it, in whichever thread; and with it of the cache.
  func completed(_ fetch: Fetch, with reply: consuming FetchReply) {
    var reply = reply
    let isWanted = ControlLock.with {
      fetch.exchange(&reply)
      fetch.progress.isCompleted = true
      guard !fetch.progress.isOrphan, fetch.isOfThisProcess else { return false }
      unsafe engine.pointee.completed.append(fetch)
      wakeEngine()
      return true
    }
    if !isWanted { fetch.release() }
    releaseMemory()
  }

  /// With the last who uses the cache: answers that nobody will read.
  func dropCompleted() {
    while let fetch = unsafe engine.pointee.completed.removeFirst() { fetch.release() }
  }
}

// MARK: - What ends without having failed

extension Cache {
  /// In a child, what the parent had under way is the parent's: it is forgotten, and its memory left to it.
  @inline(never)
  func beginAfterFork() {
    guard isOfAnotherProcess else { return }
    forgetParent()
    let now = time
    ControlLock.with {
      guard isOfAnotherProcess else { return }
      if isStarted { releaseMemory() }  // as the thread would have
      unsafe engine.pointee.forks.store(ckeyturn_forks(), ordering: .releasing)
      unsafe engine.pointee.driver.isStarted.store(false, ordering: .releasing)
      unsafe engine.pointee.gate.reopen()
      unsafe engine.pointee.completed = FetchList()
      unsafe engine.pointee.cancelled = FetchList()
      _ = unsafe engine.pointee.giveBackOpened()
      endWatch()
      unsafe engine.pointee.roster.visit { seat in seat.issuer?.shelf?.lock.forget() }
      interrupt(now)
    }
  }

  /// Under the control lock.
  @inline(never)
  func interrupt(_ now: Int64) {
    unsafe engine.pointee.roster.clear(&engine.pointee.queue)
    unsafe engine.pointee.roster.visit { seat in
      guard let issuer = seat.issuer else { return }
      let source = issuer.source
      source.isUnkept = false
      settle(source, issuer, source.next(.interrupted, now: now), now)
    }
    wakeEngine()
  }
}
