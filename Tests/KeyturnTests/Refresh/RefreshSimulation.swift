// A world of issuers, processes and hostile origins on a clock of its own: days pass in seconds, and one seed
// gives one history. What the engine will do around `RefreshState` is done here in its simplest form.
@testable import Keyturn

/// SplitMix64.
struct Chance {
  var state: UInt64

  mutating func word() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
    return word ^ word >> 31
  }

  mutating func below(_ limit: Int) -> Int { Int(word() % UInt64(limit)) }
  mutating func within(_ range: ClosedRange<Int64>) -> Int64 {
    range.lowerBound + Int64(word() % UInt64(range.upperBound - range.lowerBound + 1))
  }
}

/// What an engine could get wrong. Each makes an invariant's test fail, which proves that the test sees it.
enum EngineFault {
  case none, ignoresTheLock, countsNoFurtherRequest, readsTheWallClock, hasNoChance, readersTrustTheEngine
  case forgetsWhoFails, wakesNobody, doesNotAskAgain
}

/// What an origin answers, and when.
struct Reply {
  var keys: [Int]?
  var end: FlightEnd?
  var delay: Int64 = 50
  var requests = 1
  var freshness: Int64 = 300_000
  var generated: Int64?

  /// Documents are alike if their keys are.
  static func keys(_ keys: [Int], freshness: Int64 = 300_000, generated: Int64? = nil, delay: Int64 = 50)
    -> Reply
  {
    Reply(keys: keys, delay: delay, freshness: freshness, generated: generated)
  }
  static func fails(delay: Int64 = 50, retryAfter: Int64? = nil) -> Reply {
    Reply(end: .failed(retryAfter: retryAfter), delay: delay)
  }
  static var gone: Reply { Reply(end: .gone) }
  static var hangs: Reply { Reply(delay: .max) }
}

enum Outcome { case accepted, refused, unavailable }

final class Simulation {
  typealias Origin = (_ world: Simulation, _ node: Int) -> Reply

  /// One issuer in one process.
  struct Node {
    var settings: RefreshSettings
    var state: RefreshState
    var origin: Origin
    var store: Int?
    var keys: Set<Int> = []
    var servedUntil: Int64 = .min
    var candidate: Reply?
    var refused = [UInt64](repeating: 0, count: 1_024)
    var waiting: [Waiter] = []
    var armed: Int64 = .max
    var isStopped = false
    var holdsLock = false
  }

  struct Waiter {
    var kid: Int
    var since: Int64
    var isFurther = false
  }

  /// What the processes of one host share.
  struct Store {
    var record: RefreshRecord
    var keys: Set<Int> = []
    var holder: Int?
    var since: Int64 = 0
    var nodes: [Int] = []
  }

  enum Happening {
    case tick(Int)
    case reply(Int, flight: UInt64, Reply)
    case timeout(Int, Waiter)
    case act((Simulation) -> Void)
  }

  struct Request {
    var time: Int64
    var node: Int
    var reason: FlightReason
    var isFirst: Bool
  }

  var now: Int64 = 10_000_000
  /// How far the wall clock stands from the true time.
  var wallOffset: Int64 = 0
  var chance: Chance
  let fault: EngineFault
  var nodes: [Node] = []
  var stores: [Store] = []
  var queue: FlightQueue?
  private var queueMemory: UnsafeMutablePointer<FlightQueue.Entry>?
  private var inAir: [Int: FlightQueue.Entry] = [:]

  var requests: [Request] = []
  /// From launch to landing.
  var airTimes: [(node: Int, from: Int64, to: Int64)] = []
  var launchDelays: [(node: Int, begun: Int64, delay: Int64)] = []
  var adoptions: [(node: Int, time: Int64, keys: Set<Int>)] = []
  var outcomes: [Outcome: Int] = [:]
  var refusals: [MissRefusal: Int] = [:]
  /// How many tokens the list of refused kids has held off.
  var listed = 0
  var actions = 0
  /// The node, the kid, since when it waited, and what came of it.
  var onOutcome: (Int, Int, Int64, Outcome) -> Void = { _, _, _, _ in }

  private var heap: [(time: Int64, order: UInt64, what: Happening)] = []
  private var order: UInt64 = 0
  private var hashKey: HashKey { HashKey(low: 3, high: 5) }

  init(seed: UInt64 = 1, fault: EngineFault = .none) {
    chance = Chance(state: seed)
    self.fault = fault
  }

  deinit { queueMemory?.deallocate() }

  // MARK: - Building it

  func addQueue(_ count: Int) {
    let memory = UnsafeMutablePointer<FlightQueue.Entry>.allocate(capacity: count * 2)
    memory.initialize(repeating: .init(), count: count * 2)
    queueMemory = memory
    queue = FlightQueue(Items(memory, count: count), failing: Items(memory + count, count: count), most: 64)
  }

  func addStore(_ settings: RefreshSettings) -> Int {
    stores.append(Store(record: RefreshRecord(settings)))
    return stores.count - 1
  }

  @discardableResult
  func add(
    _ settings: RefreshSettings = RefreshSettings(), source: RefreshSource = .keysURL, store: Int? = nil,
    starts: Bool = true, _ origin: @escaping Origin
  ) -> Int {
    let state = RefreshState(source, settings)
    nodes.append(Node(settings: settings, state: state, origin: origin, store: store))
    let node = nodes.count - 1
    if let store { stores[store].nodes.append(node) }
    if starts { start(node) }
    return node
  }

  func start(_ node: Int) { tell(node, .start(stored: nil, isLazy: false)) }

  func at(_ time: Int64, _ act: @escaping (Simulation) -> Void) { schedule(time, .act(act)) }

  func every(_ interval: Int64, from: Int64? = nil, _ act: @escaping (Simulation) -> Void) {
    at(from ?? now + interval) { world in
      act(world)
      world.every(interval, from: world.now + interval, act)
    }
  }

  func run(for length: Int64) {
    let end = now + length
    while let next = heap.first, next.time <= end {
      pop()
      now = max(now, next.time)
      happen(next.what)
    }
    now = end
  }

  // MARK: - Tokens, and the readers that judge them

  func token(_ node: Int, kid: Int) {
    if judge(node, kid) { return finish(node, Waiter(kid: kid, since: now), .accepted) }
    ask(node, Waiter(kid: kid, since: now), again: false)
  }

  /// What a reader sees.
  private func judge(_ node: Int, _ kid: Int) -> Bool {
    isServed(node) && nodes[node].keys.contains(kid)
  }

  private func isServed(_ node: Int) -> Bool {
    let until = nodes[node].servedUntil
    if fault == .readersTrustTheEngine { return until != .min }
    return clock < until
  }

  private func ask(_ node: Int, _ waiter: Waiter, again: Bool) {
    guard isServed(node) else { return answer(node, waiter, tell(node, .asked)) }
    let hash = UInt64(bitPattern: Int64(waiter.kid)) &* 0x9e37_79b9_7f4a_7c15
    let hold = refusedHold(node)
    if withRefused(node, { $0.contains(hash, hold: hold, now: clock) }) {
      listed += 1
      return finish(node, waiter, .refused)
    }
    guard again else { return answer(node, waiter, tell(node, .missed)) }
    askFurther(node, waiter, hash)
  }

  /// For one that has waited. A set that was asked for after it came decides; otherwise it has one further admission.
  private func askFurther(_ node: Int, _ waiter: Waiter, _ hash: UInt64) {
    let state = nodes[node].state
    if let accepted = state.record.accepted, accepted.began >= waiter.since {
      withRefused(node) { $0.add(hash, now: clock) }
      return finish(node, waiter, .refused)
    }
    if state.flight == nil {
      if state.lastFlightFailed { return finish(node, waiter, .unavailable) }
      if waiter.isFurther { return finish(node, waiter, .refused) }
    }
    var asked = waiter
    let action = tell(node, .missed)
    if case .begin = action { asked.isFurther = true }
    answer(node, asked, action)
  }

  /// Briefly while a new kid could be asked for, and long while not.
  private func refusedHold(_ node: Int) -> Int64 {
    let settings = nodes[node].settings
    let mayAsk = nodes[node].state.record.demand.has(settings.demand, now: clock)
    return mayAsk ? settings.refusedShort : settings.refusedLong
  }

  private func answer(_ node: Int, _ waiter: Waiter, _ action: RefreshAction) {
    switch action {
    case .begin(let flight): park(node, waiter, flight.id)
    case .pending(let flight): park(node, waiter, flight)
    case .refuse(let reason):
      refusals[reason, default: 0] += 1
      finish(node, waiter, .refused)
    case .askAgain: judge(node, waiter.kid) ? finish(node, waiter, .accepted) : ask(node, waiter, again: true)
    default: finish(node, waiter, .unavailable)
    }
  }

  private func park(_ node: Int, _ waiter: Waiter, _ flight: UInt64) {
    let settings = nodes[node].settings
    guard nodes[node].state.flight?.id == flight, nodes[node].waiting.count < settings.maxWaiters else {
      return finish(node, waiter, .unavailable)
    }
    nodes[node].waiting.append(waiter)
    schedule(now + settings.fetchTimeout, .timeout(node, waiter))
  }

  private func finish(_ node: Int, _ waiter: Waiter, _ outcome: Outcome) {
    outcomes[outcome, default: 0] += 1
    onOutcome(node, waiter.kid, waiter.since, outcome)
  }

  private func wake(_ node: Int) {
    if fault == .wakesNobody { return }
    let woken = nodes[node].waiting
    nodes[node].waiting = []
    for waiter in woken {
      if judge(node, waiter.kid) {
        finish(node, waiter, .accepted)
      } else if fault == .doesNotAskAgain {
        finish(node, waiter, .refused)
      } else {
        ask(node, waiter, again: true)
      }
    }
  }

  @discardableResult
  private func withRefused<Result>(_ node: Int, _ body: (RefusedKids) -> Result) -> Result {
    nodes[node].refused.withUnsafeMutableBufferPointer {
      body(RefusedKids(Items($0.baseAddress, count: $0.count), key: hashKey))
    }
  }

  // MARK: - The engine

  /// What the engine reads as its clock.
  var clock: Int64 { fault == .readsTheWallClock ? now + wallOffset : now }

  @discardableResult
  func tell(_ node: Int, _ event: RefreshEvent) -> RefreshAction {
    guard !nodes[node].isStopped else { return .nothing }
    let needsLock = takesLock(node, event)
    if needsLock, !lock(node) { return next(node, .takenElsewhere(since: stores[nodes[node].store!].since)) }
    let action = next(node, event)
    if needsLock { unlock(node, unless: action) }
    return action
  }

  /// The lock is asked for before what may begin a flight.
  private func takesLock(_ node: Int, _ event: RefreshEvent) -> Bool {
    guard nodes[node].store != nil, nodes[node].state.flight == nil, fault != .ignoresTheLock else {
      return false
    }
    switch event {
    case .tick, .missed, .asked, .start: return true
    default: return false
    }
  }

  private func lock(_ node: Int) -> Bool {
    guard let store = nodes[node].store else { return true }
    if stores[store].holder != nil, now - stores[store].since < nodes[node].settings.lockTimeout {
      return false
    }
    stores[store].holder = node
    stores[store].since = now
    nodes[node].holdsLock = true
    next(node, .synced(stores[store].record, isOver: true))
    return true
  }

  private func unlock(_ node: Int, unless action: RefreshAction) {
    if case .begin = action { return write(node) }
    release(node)
  }

  private func write(_ node: Int) {
    guard let store = nodes[node].store, stores[store].holder == node else { return }
    stores[store].record = nodes[node].state.record
  }

  private func release(_ node: Int) {
    write(node)
    guard let store = nodes[node].store, stores[store].holder == node else { return }
    stores[store].holder = nil
    nodes[node].holdsLock = false
  }

  @discardableResult
  private func next(_ node: Int, _ event: RefreshEvent) -> RefreshAction {
    let random = fault == .hasNoChance ? 1 << 63 : chance.word()
    let action = nodes[node].state.next(event, nodes[node].settings, now: clock, random: random)
    actions += 1
    carryOut(node, action)
    nodes[node].servedUntil = nodes[node].state.servedUntil(nodes[node].settings)
    arm(node)
    return action
  }

  private func arm(_ node: Int) {
    var deadline = nodes[node].state.deadline
    guard deadline != .max else { return }
    if fault == .readsTheWallClock { deadline -= wallOffset }
    deadline = max(deadline, now)
    guard deadline < nodes[node].armed || nodes[node].armed < now else { return }
    nodes[node].armed = deadline
    schedule(deadline, .tick(node))
  }

  private func carryOut(_ node: Int, _ action: RefreshAction) {
    switch action {
    case .begin(let flight): begin(node, flight)
    case .abandon: landed(node)
    case .adopt:
      if let keys = nodes[node].candidate?.keys { nodes[node].keys = Set(keys) }
      adoptions.append((node, now, nodes[node].keys))
      withRefused(node) { $0.clear() }
    default: break
    }
    switch action {
    case .abandon, .adopt, .renew, .hold, .fail, .wake: at(now) { $0.wake(node) }
    default: break
    }
  }

  private func begin(_ node: Int, _ flight: Flight) {
    guard queue != nil else { return launch(node, flight) }
    let state = nodes[node].state
    let isFailing = fault == .forgetsWhoFails ? false : state.isFailing
    let urgency = state.urgency(nodes[node].settings, now: clock)
    let entry = FlightQueue.Entry(
      issuer: UInt64(node), flight: flight.id, isFailing: isFailing, urgency: urgency)
    _ = queue?.add(entry, now: now)
    at(now) { $0.startQueued() }
  }

  private func startQueued() {
    while let entry = queue?.start() {
      let node = Int(entry.issuer)
      guard let flight = nodes[node].state.flight, flight.id == entry.flight else {
        queue?.finished(entry)
        continue
      }
      inAir[node] = entry
      launchDelays.append((node, flight.began, now - flight.began))
      launch(node, flight)
    }
  }

  private func launch(_ node: Int, _ flight: Flight) {
    requests.append(Request(time: now, node: node, reason: flight.reason, isFirst: true))
    airTimes.append((node, now, .max))
    at(now) { $0.next(node, .launched(flight: flight.id)) }
    var reply = nodes[node].origin(self, node)
    let discovers = flight.discovery != .none ? 1 : 0
    for _ in 1..<max(1, reply.requests + discovers) {
      guard further(node, flight) else {
        reply = .fails(delay: reply.delay)
        break
      }
      requests.append(Request(time: now, node: node, reason: flight.reason, isFirst: false))
    }
    guard reply.delay < nodes[node].settings.fetchTimeout else { return }
    schedule(now + reply.delay, .reply(node, flight: flight.id, reply))
  }

  private func further(_ node: Int, _ flight: Flight) -> Bool {
    if fault == .countsNoFurtherRequest { return true }
    if case .proceed = next(node, .furtherRequest(flight: flight.id)) { return true }
    return false
  }

  private func landed(_ node: Int) {
    for place in airTimes.indices.reversed() where airTimes[place].node == node && airTimes[place].to == .max
    {
      airTimes[place].to = now
      break
    }
    if let entry = inAir.removeValue(forKey: node) {
      queue?.finished(entry)
      at(now) { $0.startQueued() }
    }
    release(node)
    guard let store = nodes[node].store else { return }
    stores[store].keys = nodes[node].keys
    at(now) { $0.spread(store, from: node) }
  }

  /// Siblings see what was written.
  private func spread(_ store: Int, from writer: Int) {
    guard stores[store].holder == nil else { return }
    for node in stores[store].nodes where node != writer && !nodes[node].isStopped {
      nodes[node].candidate = Reply(keys: Array(stores[store].keys))
      next(node, .synced(stores[store].record, isOver: true))
    }
  }

  private func happen(_ what: Happening) {
    switch what {
    case .tick(let node):
      guard !nodes[node].isStopped, nodes[node].armed == now else { return }
      nodes[node].armed = .max
      if nodes[node].state.deadline <= clock { tell(node, .tick) } else { arm(node) }
    case .reply(let node, let flight, let reply): land(node, flight, reply)
    case .timeout(let node, let waiter): timeOut(node, waiter)
    case .act(let act): act(self)
    }
  }

  private func land(_ node: Int, _ flight: UInt64, _ reply: Reply) {
    guard !nodes[node].isStopped, nodes[node].state.flight?.id == flight else { return }
    nodes[node].candidate = reply
    let end: FlightEnd
    if let keys = reply.keys {
      let answer = Answer(freshness: reply.freshness, generated: reply.generated, isDiscovered: true)
      end = .keys(answer, digest: Simulation.digest(keys), isEmpty: keys.isEmpty)
    } else {
      end = reply.end ?? .failed(retryAfter: nil)
    }
    next(node, .ended(flight: flight, end))
    landed(node)
  }

  private func timeOut(_ node: Int, _ waiter: Waiter) {
    let place = nodes[node].waiting.firstIndex { $0.kid == waiter.kid && $0.since == waiter.since }
    guard let place else { return }
    nodes[node].waiting.remove(at: place)
    finish(node, waiter, .unavailable)
  }

  static func digest(_ keys: [Int]) -> UInt64 {
    keys.sorted().reduce(0xcbf2_9ce4_8422_2325) {
      ($0 ^ UInt64(bitPattern: Int64($1))) &* 0x0000_0100_0000_01b3
    }
  }

  // MARK: - Its clock

  private func schedule(_ time: Int64, _ what: Happening) {
    order += 1
    heap.append((time, order, what))
    var child = heap.count - 1
    while child > 0, isSooner(child, (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private func pop() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [parent * 2 + 1, parent * 2 + 2] where child < heap.count && isSooner(child, least) {
        least = child
      }
      guard least != parent else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }

  private func isSooner(_ one: Int, _ other: Int) -> Bool {
    (heap[one].time, heap[one].order) < (heap[other].time, heap[other].order)
  }
}

extension [Int64] {
  /// The most of them in any closed window of this length. They are in order.
  func most(in window: Int64) -> Int {
    var first = 0
    var most = 0
    for (last, time) in enumerated() {
      while self[first] < time - window { first += 1 }
      most = Swift.max(most, last - first + 1)
    }
    return most
  }
}
