internal import CKeyturn

/// Where an issuer's keys come from: the host's terms, where its refresh stands, and the door at which
/// verifications meet it. The handle is a borrowed pointer; the issuer is its one owner.
///
/// Everything but the door is read and written under the control lock.
@safe struct Source {
  private let record: UnsafeMutablePointer<SourceRecord>

  /// Takes over the terms, also when it fails.
  static func make(_ terms: SourceTerms) throws(Fault) -> Source {
    do throws(Fault) {
      return try Fault.of { () throws(Status) in
        let key = try HashKey.process
        let memory = try unsafe Memory.allocate(MemoryLayout<SourceRecord>.size)
        let record = unsafe memory.assumingMemoryBound(to: SourceRecord.self)
        unsafe record.initialize(to: SourceRecord(terms, Door(key: key)))
        return unsafe Source(record: record)
      }
    } catch {
      terms.destroy()
      throw error
    }
  }

  func destroy() {
    terms.destroy()
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }

  // MARK: - Readers

  @inline(__always)
  func isServed(_ now: @autoclosure () -> Int64, at wall: Int64) -> Bool {
    unsafe UnsafePointer(record).pointee.door.isServed(now(), at: wall)
  }

  @inline(__always)
  func name() { unsafe UnsafePointer(record).pointee.door.name() }

  func missedAll() -> Status { unsafe UnsafePointer(record).pointee.door.missedAll() }

  func missed(_ kid: Bytes, now: Int64) -> Missed? {
    unsafe UnsafePointer(record).pointee.door.missed(kid, now: now)
  }

  func isRekeying(now: Int64) -> Bool { unsafe UnsafePointer(record).pointee.door.isRekeying(now: now) }

  // MARK: - The engine: what is decided

  var terms: SourceTerms { unsafe record.pointee.terms }
  var settings: RefreshSettings { terms.settings }
  var isFetched: Bool { terms.kind != .pinned }
  var flight: Flight? { unsafe record.pointee.state.flight }
  var deadline: Int64 { unsafe min(record.pointee.state.deadline, record.pointee.watch.next) }

  /// Once.
  func isFirst() -> Bool {
    defer { unsafe record.pointee.hasBegun = true }
    return unsafe !record.pointee.hasBegun
  }

  /// Not inlined: large, and asked in many places.
  @inline(never)
  func next(_ event: RefreshEvent, now: Int64) -> RefreshAction {
    let flight = flight
    let action = unsafe record.pointee.state.next(event, settings, now: now, random: Chance.word())
    note(event, action, flight, now: now)
    return action
  }

  /// Its issuer's.
  var ledger: Ledger {
    get { unsafe record.pointee.ledger }
    nonmutating set { unsafe record.pointee.ledger = newValue }
  }

  var teller: Teller {
    get { unsafe record.pointee.teller }
    nonmutating set { unsafe record.pointee.teller = newValue }
  }

  var notes: FlightNotes {
    get { unsafe record.pointee.notes }
    nonmutating set { unsafe record.pointee.notes = newValue }
  }

  var state: RefreshState { unsafe record.pointee.state }

  func entry(of flight: Flight, seat: UInt64, now: Int64) -> FlightQueue.Entry {
    let state = unsafe record.pointee.state
    return FlightQueue.Entry(
      issuer: seat, flight: flight.id, isFailing: state.isFailing, urgency: state.urgency(settings, now: now))
  }

  var shared: RefreshRecord { unsafe record.pointee.state.record }
  var accepted: RefreshRecord.Accepted? { unsafe record.pointee.state.record.accepted }
  func isAccepted(_ digest: UInt64) -> Bool { accepted?.digest == digest }

  @inline(never)
  func publish(now: Int64) { unsafe record.pointee.door.publish(record.pointee.state, terms, now: now) }

  /// Takes over the new terms.
  func replace(_ new: SourceTerms) {
    terms.destroy()
    unsafe record.pointee.terms = new
    unsafe record.pointee.watch.forget()
  }

  // MARK: - The engine: what readers have left

  func sit(_ seat: UInt64, _ bell: Bell) {
    unsafe record.pointee.seat = seat
    unsafe record.pointee.door.bell = bell
  }

  var seat: UInt64 { unsafe record.pointee.seat }

  func takeCalls() -> UInt64 { unsafe record.pointee.door.takeCalls() }
  func takeNamed() -> Bool { unsafe record.pointee.door.takeNamed() }

  // MARK: - The engine: an agent and its readers

  /// As it stands, published or not.
  func isServing(_ now: Int64) -> Bool { now < state.servedUntil(settings) }

  /// One of the kids that were missed, by its hash; 0 for none.
  var missedKid: UInt64 { unsafe UnsafePointer(record).pointee.door.missedKid }

  func missed(hash: UInt64, now: Int64) -> Missed? {
    unsafe UnsafePointer(record).pointee.door.missed(hash: hash, now: now)
  }

  /// The agent does not ask for it.
  func refuseKid(_ hash: UInt64, now: Int64) { unsafe record.pointee.door.refuse(hash, settings, now) }

  /// A set that was asked for after they were missed has not got them.
  func refuseKids(now: Int64) { unsafe record.pointee.door.refuseKids(settings, now: now) }

  // MARK: - The engine: a flight

  /// The place in the air that the flight under way has taken.
  var entry: FlightQueue.Entry? {
    get { unsafe record.pointee.entry }
    nonmutating set { unsafe record.pointee.entry = newValue }
  }

  /// And the one in which it waits for a place.
  var waiting: FlightQueue.Entry? {
    get { unsafe record.pointee.waiting }
    nonmutating set { unsafe record.pointee.waiting = newValue }
  }

  /// What was accepted last is not in the store yet.
  var isUnkept: Bool {
    get { unsafe record.pointee.isUnkept }
    nonmutating set { unsafe record.pointee.isUnkept = newValue }
  }

  var fetch: Fetch? {
    get { unsafe record.pointee.fetch }
    nonmutating set { unsafe record.pointee.fetch = newValue }
  }

  /// Kids that were missed before it can be held against what it brings.
  func launch(_ entry: FlightQueue.Entry) {
    self.entry = entry
    waiting = nil
    unsafe record.pointee.isDiscovered = false
    takeKids()
  }

  func takeKids() { unsafe record.pointee.door.takeKids() }

  /// How many flights have ended.
  var stamp: UInt64 { unsafe UnsafePointer(record).pointee.door.stamp }

  /// Whether one has since this was last asked. What readers find at the door is published by then.
  @inline(never)
  func countEnd(now: Int64) -> Bool {
    let before = unsafe record.pointee.current
    let current = flight?.id
    unsafe record.pointee.current = current
    guard let before, before != current else { return false }
    if state.lastFlightFailed {
      unsafe UnsafePointer(record).pointee.door.countFailure(now: now)
    } else {
      unsafe UnsafePointer(record).pointee.door.forgetFailed()
    }
    unsafe UnsafePointer(record).pointee.door.countEnd()
    return true
  }

  var target: SourceTarget { terms.target }

  /// Where the keys are, as far as it is known.
  var keysURL: Bytes { target.isDiscovered ? unsafe record.pointee.found.bytes : target.url }

  /// Whether discovery was asked in this flight and has answered.
  var isDiscovered: Bool { unsafe record.pointee.isDiscovered }

  /// What another place has said of its answers says nothing of this one's.
  func discovered(_ url: consuming OwnedText) {
    unsafe record.pointee.isDiscovered = true
    guard unsafe !(url.bytes == record.pointee.found.bytes) else { return }
    forgetValidators()
    unsafe record.pointee.found = url
  }

  func plan(isDiscovery: Bool, now: Int64) -> FetchPlan {
    let left = max(1, min(settings.fetchTimeout, (flight?.endsBy ?? .max) &- now))
    return FetchPlan(
      target: target, url: isDiscovery ? target.url : keysURL,
      etag: isDiscovery ? .empty : unsafe record.pointee.etag.bytes,
      lastModified: isDiscovery ? .empty : unsafe record.pointee.lastModified.bytes,
      maximumBody: isDiscovery ? DiscoveryDocument.longest : target.maximumDocument,
      // Where a discovered URL may stand is checked; where it would send us on to could not be.
      maximumRedirects: target.isDiscovered && !isDiscovery ? 0 : redirects(now),
      connectTimeout: min(settings.connectTimeout, left), timeout: left)
  }

  /// No more than can be paid for.
  private func redirects(_ now: Int64) -> Int {
    min(target.maxRedirects, Int(truncatingIfNeeded: state.furtherRequests(settings, now: now)))
  }

  // MARK: - The engine: how it ended

  /// A set, or the word that it is still the same. A validator without memory is one that was not sent.
  func accepted(_ fetch: Fetch, isNew: Bool, now: Int64) {
    if isNew {
      forgetValidators()
      unsafe record.pointee.door.forgetRefused()
    }
    if !fetch.etag.isEmpty { unsafe keep(fetch.etag, in: &record.pointee.etag) }
    if !fetch.lastModified.isEmpty { unsafe keep(fetch.lastModified, in: &record.pointee.lastModified) }
    refuseKids(now: now)
    isUnkept = true
  }

  /// A set that came otherwise.
  func replaced() {
    unsafe record.pointee.watch.changes &+= 1
    forgetValidators()
    unsafe record.pointee.door.forgetRefused()
  }

  /// What the next request would not ask for is asked for.
  func forgetValidators() {
    unsafe record.pointee.etag.clear()
    unsafe record.pointee.lastModified.clear()
  }

  // MARK: - A file

  var watch: FileWatch { unsafe record.pointee.watch }

  func planLook(now: Int64) { unsafe record.pointee.watch.plan(settings.fileCheck, now: now) }

  /// False where there is none.
  func hurryLook() -> Bool {
    unsafe record.pointee.watch.hurry()
    return watch.next == .min
  }

  /// It was so when it was read, and is not read again as long as it is.
  func hasRead(_ mark: FileMark, now: Int64) {
    unsafe record.pointee.watch.read(mark, now: now)
    planLook(now: now)
  }

  // MARK: - The store

  /// Whether keys from there would be accepted now. None is where a host has pushed them.
  func mayHaveBeen(at url: Bytes) -> Bool {
    guard target.isDiscovered else { return url == target.url }
    return url.isEmpty || HTTPURL(url).map { target.allows($0) } ?? false
  }

  /// As if the keys had been fetched here.
  func restore(url: Bytes, etag: Bytes, lastModified: Bytes) {
    replaced()
    if target.isDiscovered, !url.isEmpty { unsafe keep(url, in: &record.pointee.found) }
    unsafe keep(etag, in: &record.pointee.etag)
    unsafe keep(lastModified, in: &record.pointee.lastModified)
  }

  private func keep(_ validator: Bytes, in text: inout OwnedText) {
    do throws(Status) { try text.set(validator) } catch { text.clear() }
  }
}

struct SourceRecord: ~Copyable {
  /// First: see `Engine`.
  var state: RefreshState
  var door: Door
  var terms: SourceTerms
  var seat: UInt64 = 0
  var entry: FlightQueue.Entry?
  var waiting: FlightQueue.Entry?
  var fetch: Fetch?
  var isUnkept = false
  var isDiscovered = false
  var hasBegun = false
  /// The flight that was under way when ends were last counted.
  var current: UInt64?
  var ledger = Ledger.none
  var teller = Teller.none
  var notes = FlightNotes()
  var watch = FileWatch()
  var found = OwnedText(maximum: HTTPURL.longest)
  var etag = OwnedText(maximum: FetchReply.longestValidator)
  var lastModified = OwnedText(maximum: FetchReply.longestValidator)

  init(_ terms: SourceTerms, _ door: consuming Door) {
    self.door = door
    self.terms = terms
    state = RefreshState(terms.kind, terms.settings)
  }
}

/// A random word for each decision; without randomness the middle, so that only the spread is lost.
enum Chance {
  static func word() -> UInt64 {
    var word: UInt64 = 0
    return unsafe ckeyturn_random(&word, 8) == 0 ? word : 1 &<< 63
  }
}
