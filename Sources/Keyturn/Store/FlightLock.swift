internal import CKeyturn

/// What lets one process at a time ask an issuer for its keys, and what all of them have to know for that: a file
/// with a few words of who holds it, and the issuer's `RefreshRecord`.
///
/// The lock is one of open file descriptions: a child that is forked has no share in it, and it goes with a process
/// that is killed. A process that stands still keeps it, and so there are several places to lock, one after the other:
/// who finds one held by the same for too long goes on to the next.
struct FlightLock: BitwiseCopyable {
  private var descriptor: Int32 = -1
  private var place = 0
  private var sights = InlineArray<4, Sight>(repeating: Sight())

  /// Who holds a place, and since when that has been seen.
  private struct Sight: BitwiseCopyable {
    var holder: UInt64 = 0
    var since = Int64.max
  }

  enum Outcome {
    case granted
    /// Another process has had it since then, as far as can be seen.
    case denied(since: Int64)
    /// There is no file that could be locked, so that each process is for itself.
    case alone
  }

  static var ending: StaticString { ".lock" }

  private static var places: Int { 4 }
  /// Holders, the start of the machine, the record.
  private static var words: Int { places &+ 2 &+ RefreshRecord.wordCount }

  var isHeld: Bool { descriptor >= 0 }

  /// `holder` is a random word. A place that the same has held for `timeout` is passed by.
  mutating func take(
    _ name: StoreName, _ directory: StoreDirectory, holder: UInt64, now: Int64, timeout: Int64
  ) -> Outcome {
    guard !isHeld else { return .granted }
    guard let file = directory.openLock(name) else { return .alone }
    for candidate in FlightLock.places.times {
      if ckeyturn_store_lock(file, Int64(candidate)) == 0 {
        descriptor = file
        place = candidate
        put(holder, at: place)
        sights = InlineArray(repeating: Sight())
        return .granted
      }
      let since = see(FlightLock.word(candidate, of: file), at: candidate, now)
      guard now &- since >= timeout else {
        ckeyturn_store_close(file)
        return .denied(since: since)
      }
    }
    ckeyturn_store_close(file)
    return .denied(since: now)
  }

  mutating func release() {
    guard isHeld else { return }
    put(0, at: place)
    ckeyturn_store_unlock(descriptor)
    descriptor = -1
  }

  /// In a child, whose parent has it.
  mutating func forget() {
    ckeyturn_store_close(descriptor)
    descriptor = -1
  }

  static func isHeldElsewhere(_ name: StoreName, _ directory: StoreDirectory) -> Bool {
    guard let file = directory.lookIntoLock(name) else { return false }
    defer { ckeyturn_store_close(file) }
    return ckeyturn_store_is_locked(file) == 1
  }

  private mutating func see(_ holder: UInt64, at place: Int, _ now: Int64) -> Int64 {
    var sight = FlightLock.sight(sights, place)
    if sight.since > now || sight.holder != holder { sight = Sight(holder: holder, since: now) }
    FlightLock.set(&sights, place, sight)
    return sight.since
  }

  // MARK: - The record

  /// Nil if there is none that is whole, or it is of another start of the machine, whose times mean nothing here.
  func record(_ boot: BootID) -> RefreshRecord? {
    var file = InlineArray<37, UInt64>(repeating: 0)
    var span = file.mutableSpan
    return unsafe span.withUnsafeMutableBufferPointer { words in
      guard let start = words.baseAddress, words.count == FlightLock.words,
        unsafe ckeyturn_store_read(descriptor, start, words.count &* 8) == Int64(words.count &* 8)
      else { return nil }
      let all = unsafe Items(start, count: words.count)
      guard boot.isKnown, all.item(at: FlightLock.places) == boot.low,
        all.item(at: FlightLock.places &+ 1) == boot.high
      else { return nil }
      return unsafe RefreshRecord(Items(start + FlightLock.places + 2, count: RefreshRecord.wordCount))
    }
  }

  /// Unless a later flight has left its own there: whose holder stood still comes back to what is not his any more.
  func write(_ record: RefreshRecord, _ boot: BootID) {
    if let other = self.record(boot), other.lastFlight > record.lastFlight { return }
    var file = InlineArray<33, UInt64>(repeating: 0)
    var span = file.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { words in
      guard let start = words.baseAddress else { return }
      let all = unsafe Items(start, count: words.count)
      all.set(boot.low, at: 0)
      all.set(boot.high, at: 1)
      guard record.write(unsafe Items(start + 2, count: RefreshRecord.wordCount)) else { return }
      _ = unsafe ckeyturn_store_put(descriptor, Int64(FlightLock.places &* 8), start, words.count &* 8)
    }
  }

  // MARK: - What an agent answers, behind the record

  /// What a reader may be told: that nothing comes of its question.
  struct Answer {
    fileprivate let word: UInt64
    fileprivate let place: Int64

    /// Of a kid with this hash. Of two that share a place the later counts; what is lost is waited for, as if nobody had
    /// answered.
    static func kid(_ hash: UInt64) -> Answer { Answer(word: hash, place: 512 &+ Int64(hash & 127) &* 16) }

    /// Of a fetch, for all who wait for one: behind the places of kids, none of which can hide or forge it. Another word after
    /// each start of the machine, since times begin anew.
    static func failure(_ boot: BootID) -> Answer { Answer(word: boot.low, place: 512 &+ 128 &* 16) }
  }

  static func put(_ answer: Answer, _ name: StoreName, _ directory: StoreDirectory, now: Int64) {
    guard let file = directory.openLock(name) else { return }
    var words = (answer.word, UInt64(bitPattern: now))
    _ = unsafe ckeyturn_store_put(file, answer.place, &words, 16)
    ckeyturn_store_close(file)
  }

  static func has(
    _ answer: Answer, _ name: StoreName, _ directory: StoreDirectory, since: Int64, now: Int64
  ) -> Bool {
    guard let file = directory.lookIntoLock(name) else { return false }
    defer { ckeyturn_store_close(file) }
    var words: (UInt64, UInt64) = (0, 0)
    guard unsafe ckeyturn_store_get(file, answer.place, &words, 16) == 0, words.0 == answer.word else {
      return false
    }
    return Int64(bitPattern: words.1) >= since && Int64(bitPattern: words.1) <= now
  }

  private func put(_ word: UInt64, at place: Int) {
    var word = word
    _ = unsafe ckeyturn_store_put(descriptor, Int64(place &* 8), &word, 8)
  }

  private static func word(_ place: Int, of file: Int32) -> UInt64 {
    var words = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))
    return unsafe withUnsafeMutableBytes(of: &words) { octets in
      guard let start = octets.baseAddress, unsafe ckeyturn_store_read(file, start, octets.count) > 0 else {
        return 0
      }
      let all = unsafe Items(start.assumingMemoryBound(to: UInt64.self), count: places)
      return all.item(at: place) ?? 0
    }
  }

  private static func sight(_ sights: InlineArray<4, Sight>, _ place: Int) -> Sight {
    place >= 0 && place < sights.count ? sights[place] : Sight()
  }

  private static func set(_ sights: inout InlineArray<4, Sight>, _ place: Int, _ sight: Sight) {
    if place >= 0 && place < sights.count { sights[place] = sight }
  }
}
