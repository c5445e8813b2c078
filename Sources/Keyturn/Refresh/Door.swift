internal import CKeyturn
internal import Synchronization

/// Where verifications meet the engine of one issuer: what it last published for them, and what they leave for
/// it. All of it is words that are read and written alone; nobody waits.
@safe struct Door: ~Copyable {
  private let servedUntil = Atomic<Int64>(.min)
  /// From when on a kid that is missed may ask for a fetch; `underWay` while one is, or has been asked for.
  private let admission = Atomic<Int64>(.max)
  /// The same for a bad signature under a known kid; `never` where it does not count.
  private let rekey = Atomic<Int64>(Rekey.never)
  /// How many flights have ended.
  private let ended = Atomic<UInt64>(0)
  private let unserved = Atomic<Int64>(Unserved.unavailable)
  private let named = Atomic<Int64>(Named.no)
  /// From when on there is a demand token, so that refused kids are held but shortly.
  private let demandFrom = Atomic<Int64>(.max)
  private let calls = Atomic<UInt64>(0)
  /// Unix seconds.
  private let validUntil = Atomic<Int64>(.max)
  private let refusedShort = Atomic<Int64>(0)
  private let refusedLong = Atomic<Int64>(0)
  /// Kids that were missed since the last flight began, and behind them those from before that it can be held
  /// against; made with the first set, since none is missed before.
  private let kidWords = unsafe Atomic<UnsafeMutableRawPointer?>(nil)
  /// The list of refused kids behind its size; made with the first.
  private let refusedWords = unsafe Atomic<UnsafeMutableRawPointer?>(nil)
  private let key: HashKey
  /// Set once, before the issuer is handed out.
  var bell = Bell.none

  /// Kids that were missed, and wait for the next flight to begin: more than so many are not listed as refused.
  static var mostKids: Int { 64 }

  /// What readers ask of the engine: bits.
  enum Call {
    static var missed: UInt64 { 1 }
    static var asked: UInt64 { 2 }
    static var named: UInt64 { 4 }
    static var badSignature: UInt64 { 8 }
  }

  fileprivate enum Rekey {
    static var underWay: Int64 { .min }
    static var never: Int64 { .max }
  }

  private enum Unserved {
    static var unavailable: Int64 { 0 }
    static var underWay: Int64 { 1 }
    /// The next token may begin a fetch.
    static var idle: Int64 { 2 }
  }

  private enum Named {
    static var no: Int64 { 0 }
    static var yes: Int64 { 1 }
    /// No, and the engine wants to be told.
    static var idle: Int64 { 2 }
  }

  private static var underWay: Int64 { .max }
  /// Nothing is ever fetched for a kid.
  fileprivate static var never: Int64 { .max &- 1 }

  init(key: HashKey) { self.key = key }

  deinit {
    unsafe Memory.release(kidWords.load(ordering: .relaxed))
    unsafe Memory.release(refusedWords.load(ordering: .relaxed))
  }

  // MARK: - Readers

  /// Asked before everything else: where it has not changed, no flight has ended since.
  @inline(__always)
  var stamp: UInt64 { ended.load(ordering: .acquiring) }

  /// Asked before the snapshot is loaded: whoever finds the later time finds the later keys too.
  @inline(__always)
  func isServed(_ now: @autoclosure () -> Int64, at wall: Int64) -> Bool {
    let until = servedUntil.load(ordering: .acquiring)
    guard until == .max || now() < until else { return false }
    let date = validUntil.load(ordering: .relaxed)
    return date == .max || wall < date
  }

  /// A token that everything cheap has let pass names the issuer.
  @inline(__always)
  func name() {
    guard named.load(ordering: .relaxed) != Named.yes else { return }
    if named.exchange(Named.yes, ordering: .acquiringAndReleasing) == Named.idle { call(Call.named) }
  }

  /// Why a token without served keys has no verdict.
  func missedAll() -> Status {
    let (isFirst, seen) = unserved.compareExchange(
      expected: Unserved.idle, desired: Unserved.underWay, ordering: .acquiringAndReleasing)
    if isFirst { call(Call.asked) }
    return isFirst || seen == Unserved.underWay ? .pending : .keysUnavailable
  }

  /// What becomes of a token whose kid is not in the set; nil where it is not asked for. One of those that may ask does.
  func missed(_ kid: Bytes, now: Int64) -> Missed? {
    missed(hash: SipHash.hash13(kid, key: key), now: now)
  }

  func missed(hash: UInt64, now: Int64) -> Missed? {
    guard !isRefused(hash, now) else { return .listed }
    let from = admission.load(ordering: .acquiring)
    guard from != Door.never else { return nil }
    guard from == Door.underWay || now >= from else { return hasFailed(hash, now) ? .failed : .throttled }
    let kids = kids(0)
    kids.fill(max(hash, 1), at: Int(truncatingIfNeeded: hash) & (kids.count &- 1))
    let (isFirst, _) = admission.compareExchange(
      expected: from, desired: Door.underWay, ordering: .acquiringAndReleasing)
    if isFirst, from != Door.underWay { call(Call.missed) }
    return .pending
  }

  /// Whether a token with a bad signature under a known kid is to wait for other keys. One of those that may ask does.
  func isRekeying(now: Int64) -> Bool {
    let from = rekey.load(ordering: .acquiring)
    guard now >= from else { return false }
    let (isFirst, _) = rekey.compareExchange(
      expected: from, desired: Rekey.underWay, ordering: .acquiringAndReleasing)
    if isFirst, from != Rekey.underWay { call(Call.badSignature) }
    return true
  }

  private func call(_ bit: UInt64) {
    calls.bitwiseOr(bit, ordering: .acquiringAndReleasing)
    bell.ring()
  }

  private func hasFailed(_ hash: UInt64, _ now: Int64) -> Bool {
    failed.contains(hash, hold: refusedLong.load(ordering: .relaxed), now: now)
  }

  private func isRefused(_ hash: UInt64, _ now: Int64) -> Bool {
    guard let list = refused else { return false }
    let isShort = now >= demandFrom.load(ordering: .relaxed)
    let hold = isShort ? refusedShort.load(ordering: .relaxed) : refusedLong.load(ordering: .relaxed)
    return list.contains(hash, hold: hold, now: now)
  }

  private var refused: RefusedKids? {
    guard let memory = unsafe refusedWords.load(ordering: .acquiring) else { return nil }
    let words = unsafe memory.assumingMemoryBound(to: UInt64.self)
    return unsafe RefusedKids(Items(words + 1, count: Int(truncatingIfNeeded: words.pointee)), key: key)
  }

  /// Those for whom a fetch has failed, so that its failure is not taken for theirs.
  private var failed: RefusedKids { RefusedKids(kids(2), key: key) }

  /// 0: those that are missed now; 1: those that the flight under way can be held against; 2: a list of their own.
  private func kids(_ half: Int) -> Items<UInt64> {
    guard let memory = unsafe kidWords.load(ordering: .acquiring) else { return .none }
    let words = unsafe memory.assumingMemoryBound(to: UInt64.self)
    return unsafe Items(words + half &* Door.mostKids, count: Door.mostKids)
  }

  // MARK: - The engine, under the control lock

  func publish(_ state: RefreshState, _ terms: SourceTerms, now: Int64) {
    let settings = terms.settings
    refusedShort.store(settings.refusedShort, ordering: .relaxed)
    refusedLong.store(settings.refusedLong, ordering: .relaxed)
    validUntil.store(terms.validUntil, ordering: .relaxed)
    if terms.kind != .pinned, state.record.accepted != nil { makeKids() }
    servedUntil.store(state.servedUntil(settings), ordering: .releasing)
    admission.store(
      state.flight == nil ? state.admission(settings, now: now) : Door.underWay, ordering: .releasing)
    rekey.store(state.rekeyAdmission(settings, now: now), ordering: .releasing)
    demandFrom.store(state.demandFrom(settings, now: now), ordering: .releasing)
    let opens = state.flight.map { $0.opens ? Unserved.underWay : Unserved.unavailable }
    unserved.store(opens ?? (state.isIdle ? Unserved.idle : Unserved.unavailable), ordering: .releasing)
    publish(isIdle: state.isIdle, isServed: now < state.servedUntil(settings))
  }

  /// One that was named after the engine found that it is idle is not: the engine is told here, since no later token
  /// would. Only where keys are served, because only there does that end its being idle; elsewhere tokens ask.
  private func publish(isIdle: Bool, isServed: Bool) {
    let (before, after) = isIdle ? (Named.no, Named.idle) : (Named.idle, Named.no)
    let (_, seen) = named.compareExchange(expected: before, desired: after, ordering: .relaxed)
    if isIdle, isServed, seen == Named.yes { call(Call.named) }
  }

  /// One of those that are missed now; 0 for none.
  var missedKid: UInt64 {
    let kids = kids(0)
    var place = 0
    while place < kids.count {
      let hash = kids.load(at: place)
      if hash != 0 { return hash }
      place &+= 1
    }
    return 0
  }

  func countEnd() { ended.wrappingAdd(1, ordering: .releasing) }

  func takeCalls() -> UInt64 { calls.exchange(0, ordering: .acquiringAndReleasing) }

  /// Whether a token has named the issuer since this was last asked.
  func takeNamed() -> Bool { named.exchange(Named.no, ordering: .acquiringAndReleasing) == Named.yes }

  /// What was missed until now is what the flight that begins can be held against.
  func takeKids() {
    let (kids, asked) = (kids(0), kids(1))
    for place in asked.count.times { asked.set(kids.exchange(0, at: place), at: place) }
  }

  /// Those who asked for the flight, and those who came while it was under way.
  func countFailure(now: Int64) {
    let waiting = kids(0)
    var place = 0
    while place < 2 &* waiting.count {
      let hash = place < waiting.count ? waiting.load(at: place) : kids(1).load(at: place &- waiting.count)
      if hash != 0 { failed.add(hash, now: now) }
      place &+= 1
    }
  }

  func forgetFailed() { failed.clear() }

  func forgetRefused() { refused?.clear() }

  /// Without memory for the list they are not refused, but each asks again, which has its own bound.
  func refuseKids(_ settings: RefreshSettings, now: Int64) {
    let asked = kids(1)
    var place = 0
    while let hash = asked.item(at: place) {
      if hash != 0 { refuse(hash, settings, now) }
      place &+= 1
    }
  }

  func refuse(_ hash: UInt64, _ settings: RefreshSettings, _ now: Int64) {
    makeList(RefusedKids.words(for: settings.refusedKids))
    refused?.add(hash, now: now)
  }

  private func makeList(_ count: Int) {
    guard refused == nil, let memory = unsafe Door.words(1 &+ count) else { return }
    unsafe memory.storeBytes(of: UInt64(truncatingIfNeeded: count), as: UInt64.self)
    unsafe refusedWords.store(memory, ordering: .releasing)
  }

  private func makeKids() {
    guard kids(0).count == 0 else { return }
    unsafe kidWords.store(Door.words(3 &* Door.mostKids), ordering: .releasing)
  }

  private static func words(_ count: Int) -> UnsafeMutableRawPointer? {
    do throws(Status) { return try unsafe Memory.allocate(count &* MemoryLayout<UInt64>.stride) } catch {
      return nil
    }
  }
}

/// One bit for each seat of the engine, which readers raise to be looked at. Before them, a word that tells whether
/// any is raised, and one with the descriptor that wakes the engine's thread, if it has one, and 1.
struct Bell {
  private let words: Items<UInt64>
  private let seat: Int

  static var none: Bell { Bell(.none, seat: 0) }
  static var heads: Int { 2 }

  init(_ words: Items<UInt64>, seat: Int) {
    self.words = words
    self.seat = seat
  }

  static func words(for seats: Int) -> Int { heads &+ (seats &+ 63) / 64 }

  /// The bit before the word: who takes the word finds the bit. Who was first to ring wakes.
  func ring() {
    words.raise(1 &<< UInt64(truncatingIfNeeded: seat & 63), at: Bell.heads &+ seat / 64)
    if words.exchange(1, at: 0) == 0 { wake() }
  }

  func wake() {
    if let descriptor { ckeyturn_bell_ring(descriptor) }
  }

  var descriptor: Int32? {
    let word = words.load(at: 1)
    return word == 0 ? nil : Int32(truncatingIfNeeded: word &- 1)
  }

  func set(descriptor: Int32?) {
    words.store(descriptor.map { UInt64(truncatingIfNeeded: $0) &+ 1 } ?? 0, at: 1)
  }
}

extension RefreshState {
  /// From when on a missed kid may be admitted; it is admitted then unless something else comes first.
  func admission(_ settings: RefreshSettings, now: Int64) -> Int64 {
    guard isFetched else { return Door.never }
    var total = record.total
    let paid = total.next(settings.total, keeping: settings.keptForSchedule, now: now)
    let wanted = max(demandFrom(settings, now: now), paid)
    return record.backoff.isFailing ? max(wanted, record.backoff.until) : wanted
  }

  /// The same for a bad signature. Any flight may bring what it wants, but only one in a while is waited for.
  fileprivate func rekeyAdmission(_ settings: RefreshSettings, now: Int64) -> Int64 {
    guard settings.sameKidRekey, source != .pinned, !isDisabled else { return Door.Rekey.never }
    guard let flight else { return max(rekeyFrom(settings), admission(settings, now: now)) }
    let from = rekeyFrom(settings)
    return flight.reason == .rekey || now >= from ? Door.Rekey.underWay : from
  }

  func demandFrom(_ settings: RefreshSettings, now: Int64) -> Int64 {
    var demand = record.demand
    return demand.next(settings.demand, now: now)
  }
}
