/// Who may fetch now. So many at once in the process, and no more than a quarter of them for issuers that are
/// failing, so that those that hang leave the way free.
///
/// Who would be stale first goes first; those that fail go in the order in which they came.
/// Memory is given: two heaps, each with room for every issuer, since an issuer has one flight at a time.
struct FlightQueue {
  struct Entry: BitwiseCopyable {
    var issuer: UInt64 = 0
    var flight: UInt64 = 0
    var isFailing = false
    /// Until when its answer is wanted; `RefreshState.urgency` says.
    var urgency: Int64 = 0
  }

  private var sound: FlightHeap
  private var failing: FlightHeap
  private var soundInAir = 0
  private var failingInAir = 0
  let most: Int

  init(_ sound: Items<Entry>, failing: Items<Entry>, most: Int) {
    self.sound = FlightHeap(sound)
    self.failing = FlightHeap(failing)
    self.most = most
  }

  /// To where there is more room.
  mutating func move(to sound: Items<Entry>, failing: Items<Entry>) {
    self.sound.move(to: sound)
    self.failing.move(to: failing)
  }

  var waiting: Int { sound.count &+ failing.count }
  var inAir: Int { soundInAir &+ failingInAir }
  var mostFailing: Int { max(1, most / 4) }

  /// False if there is no room; then it is as if the fetch had failed.
  mutating func add(_ entry: Entry, now: Int64) -> Bool {
    guard entry.isFailing else { return sound.push(entry) }
    var inTurn = entry
    inTurn.urgency = now
    return failing.push(inTurn)
  }

  /// The next that may start, if one may: `finished` follows, once. One whose issuer no longer wants it is
  /// finished at once.
  mutating func start() -> Entry? {
    guard inAir < most else { return nil }
    let failingMay = failingInAir < mostFailing && failing.first != nil
    guard failingMay, sound.first == nil || failingInAir &* 4 <= soundInAir else {
      guard let entry = sound.pop() else { return nil }
      soundInAir &+= 1
      return entry
    }
    failingInAir &+= 1
    return failing.pop()
  }

  /// One that is given up before it could start leaves its room to others.
  mutating func remove(_ entry: Entry) {
    if entry.isFailing { failing.remove(entry) } else { sound.remove(entry) }
  }

  mutating func finished(_ entry: Entry) {
    if entry.isFailing {
      failingInAir = max(0, failingInAir &- 1)
    } else {
      soundInAir = max(0, soundInAir &- 1)
    }
  }
}

/// The smallest urgency first, in given memory.
struct FlightHeap {
  private var entries: Items<FlightQueue.Entry>
  private(set) var count = 0

  init(_ entries: Items<FlightQueue.Entry>) { self.entries = entries }

  mutating func move(to larger: Items<FlightQueue.Entry>) {
    for place in count.times {
      if let entry = entries.item(at: place) { larger.set(entry, at: place) }
    }
    entries = larger
  }

  var first: FlightQueue.Entry? { count > 0 ? entries.item(at: 0) : nil }

  mutating func push(_ entry: FlightQueue.Entry) -> Bool {
    guard count < entries.count else { return false }
    var place = count
    count &+= 1
    while place > 0, let parent = entries.item(at: (place &- 1) / 2), parent.urgency > entry.urgency {
      entries.set(parent, at: place)
      place = (place &- 1) / 2
    }
    entries.set(entry, at: place)
    return true
  }

  mutating func pop() -> FlightQueue.Entry? {
    guard let first, let last = entries.item(at: count &- 1) else { return nil }
    count &-= 1
    var place = 0
    while let child = smallerChild(of: place), let entry = entries.item(at: child),
      entry.urgency < last.urgency
    {
      entries.set(entry, at: place)
      place = child
    }
    entries.set(last, at: place)
    return first
  }

  /// Those above it go down a step, and it goes from the top.
  mutating func remove(_ entry: FlightQueue.Entry) {
    for position in count.times {
      guard let found = entries.item(at: position), found.issuer == entry.issuer, found.flight == entry.flight
      else { continue }
      var place = position
      while place > 0, let parent = entries.item(at: (place &- 1) / 2) {
        entries.set(parent, at: place)
        place = (place &- 1) / 2
      }
      _ = pop()
      return
    }
  }

  private func smallerChild(of place: Int) -> Int? {
    let left = place &* 2 &+ 1
    guard left < count, let one = entries.item(at: left) else { return nil }
    guard left &+ 1 < count, let other = entries.item(at: left &+ 1) else { return left }
    return other.urgency < one.urgency ? left &+ 1 : left
  }
}
