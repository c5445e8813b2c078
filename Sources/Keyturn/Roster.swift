/// The issuers of a cache that are fetched, each at a seat, side by side so that a poll finds what is due in one
/// pass; and the memory of the queue, which has room for each. Grows by doubling; under the control lock.
@safe struct Roster: ~Copyable {
  struct Seat: BitwiseCopyable {
    var issuer: Issuer?
    /// Distinguishes those who have sat here one after the other.
    var serial: UInt64 = 0
    var deadline = Int64.max
  }

  private var memory: UnsafeMutableRawPointer?
  private var seats: Items<Seat> = .none
  private var sound: Items<FlightQueue.Entry> = .none
  private var failing: Items<FlightQueue.Entry> = .none
  /// Beyond it nobody has sat.
  private var used = 0
  private var serials: UInt64 = 0
  /// Readers ring while nobody holds a lock, so that this never moves.
  private let bells: Items<UInt64>
  private let bellMemory: UnsafeMutableRawPointer

  /// 2^20 is the largest `max_issuers`.
  private static var seatBits: UInt64 { 20 }

  init(maximum: Int) throws(Status) {
    let words = Bell.words(for: maximum)
    unsafe bellMemory = try Memory.allocate(words &* MemoryLayout<UInt64>.stride)
    bells = unsafe Items(bellMemory.assumingMemoryBound(to: UInt64.self), count: words)
  }

  deinit {
    unsafe Memory.release(memory)
    unsafe Memory.release(bellMemory)
  }

  // MARK: - Seats

  mutating func add(_ issuer: Issuer, _ queue: inout FlightQueue) throws(Status) -> (id: UInt64, bell: Bell) {
    let place = try freePlace(&queue)
    serials &+= 1
    seats.set(Seat(issuer: issuer, serial: serials), at: place)
    return (serials &<< Roster.seatBits | UInt64(truncatingIfNeeded: place), Bell(bells, seat: place))
  }

  func remove(_ id: UInt64) { seats.set(Seat(), at: place(id)) }

  /// nil if it has gone.
  @inline(never)
  func issuer(at id: UInt64) -> Issuer? {
    guard let seat = seats.item(at: place(id)), seat.serial == id &>> Roster.seatBits else { return nil }
    return seat.issuer
  }

  @inline(never)
  func set(deadline: Int64, at id: UInt64) {
    guard var seat = seats.item(at: place(id)), seat.serial == id &>> Roster.seatBits else { return }
    seat.deadline = deadline
    seats.set(seat, at: place(id))
  }

  func visit(_ body: (Seat) -> Void) {
    var place = 0
    while place < used {
      if let seat = seats.item(at: place), seat.issuer != nil { body(seat) }
      place &+= 1
    }
  }

  /// The next that is due, from a place on.
  func nextDue(_ place: inout Int, _ now: Int64) -> Issuer? {
    while place < used {
      let seat = seats.item(at: place)
      place &+= 1
      if let seat, seat.deadline <= now, let issuer = seat.issuer { return issuer }
    }
    return nil
  }

  private func place(_ id: UInt64) -> Int { Int(truncatingIfNeeded: id & (1 &<< Roster.seatBits &- 1)) }

  private mutating func freePlace(_ queue: inout FlightQueue) throws(Status) -> Int {
    // Freed places first: then there are never more in use than issuers, and bells, there may be.
    for place in used.times where seats.item(at: place)?.issuer == nil { return place }
    if used == seats.count { try grow(&queue) }
    used &+= 1
    return used &- 1
  }

  // MARK: - Memory

  private mutating func grow(_ queue: inout FlightQueue) throws(Status) {
    let count = max(16, seats.count &* 2)
    var arena = Arena.dry
    _ = Roster.divide(&arena, count)
    let larger = try unsafe Memory.allocate(arena.used)
    arena = unsafe Arena(larger, capacity: arena.used)
    let parts = Roster.divide(&arena, count)
    for place in count.times { parts.seats.set(seats.item(at: place) ?? Seat(), at: place) }
    queue.move(to: parts.sound, failing: parts.failing)
    unsafe Memory.release(memory)
    unsafe memory = unsafe larger
    (seats, sound, failing) = parts
  }

  /// The queue as if nothing had ever flown.
  func clear(_ queue: inout FlightQueue) {
    queue = FlightQueue(sound, failing: failing, most: queue.most)
  }

  private static func divide(
    _ arena: inout Arena, _ count: Int
  ) -> (seats: Items<Seat>, sound: Items<FlightQueue.Entry>, failing: Items<FlightQueue.Entry>) {
    (
      arena.items(count, of: Seat.self), arena.items(count, of: FlightQueue.Entry.self),
      arena.items(count, of: FlightQueue.Entry.self)
    )
  }

  // MARK: - Bells

  /// For who wakes the engine.
  var bell: Bell { Bell(bells, seat: 0) }

  var isAnyRinging: Bool { bells.load(at: 0) != 0 }

  /// Each seat whose bell was rung, and silences it.
  func visitRinging(_ body: (Seat) -> Void) {
    guard bells.exchange(0, at: 0) != 0 else { return }
    var word = -1
    while word &+ 1 &+ Bell.heads < bells.count {
      word &+= 1
      let place = word &+ Bell.heads
      var bits = bells.load(at: place) == 0 ? 0 : bells.exchange(0, at: place)
      while bits != 0 {
        let bit = bits.trailingZeroBitCount
        bits &= bits &- 1
        if let seat = seats.item(at: word &* 64 &+ bit) { body(seat) }
      }
    }
  }
}
