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
  private let unserved = Atomic<Int64>(Unserved.unavailable)
  private let named = Atomic<Int64>(Named.no)
  /// From when on there is a demand token, so that refused kids are held but shortly.
  private let demandFrom = Atomic<Int64>(.max)
  private let calls = Atomic<UInt64>(0)
  private let refusedWords = unsafe Atomic<UnsafeMutableRawPointer?>(nil)
  private let kids: Items<UInt64>
  private let key: HashKey
  private let settings: RefreshSettings
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

  init(kids: Items<UInt64>, key: HashKey, settings: RefreshSettings) {
    self.kids = kids
    self.key = key
    self.settings = settings
  }

  deinit { unsafe Memory.release(refusedWords.load(ordering: .relaxed)) }

  // MARK: - Readers

  /// Asked before the snapshot is loaded: whoever finds the later time finds the later keys too.
  @inline(__always)
  func isServed(_ now: Int64) -> Bool { now < servedUntil.load(ordering: .acquiring) }

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

  /// What becomes of a token whose kid is not in the set. One of those that may ask does.
  func missed(_ kid: Bytes, now: Int64) -> Missed {
    let hash = SipHash.hash13(kid, key: key)
    guard !isRefused(hash, now) else { return .listed }
    let from = admission.load(ordering: .acquiring)
    guard from == Door.underWay || now >= from else { return .throttled }
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

  private func isRefused(_ hash: UInt64, _ now: Int64) -> Bool {
    guard let list = refused else { return false }
    let isShort = now >= demandFrom.load(ordering: .relaxed)
    return list.contains(hash, hold: isShort ? settings.refusedShort : settings.refusedLong, now: now)
  }

  private var refused: RefusedKids? {
    guard let memory = unsafe refusedWords.load(ordering: .acquiring) else { return nil }
    let words = unsafe memory.assumingMemoryBound(to: UInt64.self)
    return unsafe RefusedKids(Items(words, count: RefusedKids.words(for: settings.refusedKids)), key: key)
  }

  // MARK: - The engine, under the control lock

  func publish(_ state: RefreshState, now: Int64) {
    servedUntil.store(state.servedUntil(settings), ordering: .releasing)
    admission.store(
      state.flight == nil ? state.admission(settings, now: now) : Door.underWay, ordering: .releasing)
    rekey.store(state.rekeyAdmission(settings, now: now), ordering: .releasing)
    demandFrom.store(state.demandFrom(settings, now: now), ordering: .releasing)
    let opens = state.flight.map { $0.opens ? Unserved.underWay : Unserved.unavailable }
    unserved.store(opens ?? (state.isIdle ? Unserved.idle : Unserved.unavailable), ordering: .releasing)
    if state.isIdle {
      _ = named.compareExchange(expected: Named.no, desired: Named.idle, ordering: .relaxed)
    } else {
      _ = named.compareExchange(expected: Named.idle, desired: Named.no, ordering: .relaxed)
    }
  }

  func takeCalls() -> UInt64 { calls.exchange(0, ordering: .acquiringAndReleasing) }

  /// Whether a token has named the issuer since this was last asked.
  func takeNamed() -> Bool { named.exchange(Named.no, ordering: .acquiringAndReleasing) == Named.yes }

  /// Moves what was missed until now into `asked`, in place of what was there.
  func takeKids(into asked: Items<UInt64>) {
    for place in asked.count.times { asked.set(kids.exchange(0, at: place), at: place) }
  }

  func forgetRefused() { refused?.clear() }

  /// Without memory for the list they are not refused, but each asks again, which has its own bound.
  func refuse(_ asked: Items<UInt64>, now: Int64) {
    for place in asked.count.times {
      guard let hash = asked.item(at: place), hash != 0 else { continue }
      makeList()
      refused?.add(hash, now: now)
    }
  }

  private func makeList() {
    guard refused == nil else { return }
    let count = RefusedKids.words(for: settings.refusedKids) &* MemoryLayout<UInt64>.stride
    do throws(Status) {
      unsafe refusedWords.store(try Memory.allocate(count), ordering: .releasing)
    } catch { return }
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
