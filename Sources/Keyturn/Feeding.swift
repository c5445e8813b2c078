// How one process fetches for others: the agent, which a host starts once, and its readers, which fetch nothing, lock
// nothing and write nothing.
//
//   reader: a flight would begin -> a datagram to the agent, and the flight is one that is made elsewhere
//   agent: a datagram -> as if a token had come here, under the bounds that hold here -> a new file
//   reader: sees the file -> the flight is over
//   agent: asks nobody, or in vain -> a word in the file of the lock -> reader: the flight is over
//
// A datagram that is lost costs what a failed fetch costs.
internal import CKeyturn

/// What a cache does in that.
struct Feed: BitwiseCopyable {
  enum Role: BitwiseCopyable {
    case none
    case reader
    case agent
  }

  let role: Role
  /// The agent's, on which it listens; a reader's, connected to it; or -1.
  var socket: Int32 = -1
  /// When a reader may look again for an agent.
  var nextLook = Int64.min
  /// How often in a row nothing came of what a reader asked.
  var silences = 0
  /// How many calls the agent has heard in the round that ends then.
  private var heard = 0
  private var roundEnd = Int64.min

  init(_ role: Role) { self.role = role }

  /// Of one round; others wait for the next, so that who calls without end has a bounded share of our time.
  private static var mostCalls: Int { 256 }
  private static var round: Int64 { 50 }
  static var lookInterval: Int64 { 1_000 }

  /// For how long nobody listens.
  mutating func pause(_ now: Int64) -> Int64 {
    if now >= roundEnd { (heard, roundEnd) = (0, now &+ Feed.round) }
    return heard < Feed.mostCalls ? 0 : roundEnd &- now
  }

  mutating func hear() { heard &+= 1 }
}

extension Cache {
  var isReader: Bool { unsafe engine.pointee.feed.role == .reader }

  /// The socket on which an agent listens; -1 where none does.
  private var agentSocket: Int32 {
    unsafe engine.pointee.feed.role == .agent ? engine.pointee.feed.socket : -1
  }

  /// The same for who waits; and for how long it is not listened to.
  func listen() -> (socket: Int32, pause: Int64) {
    guard agentSocket >= 0 else { return (-1, 0) }
    let now = time
    let pause = ControlLock.with { unsafe engine.pointee.feed.pause(now) }
    return (pause > 0 ? -1 : agentSocket, pause)
  }

  /// Once, before the cache is handed out. A reader goes on without an agent until there is one.
  func joinFeed() throws(Fault) {
    guard let store else { return }
    switch unsafe engine.pointee.feed.role {
    case .none: return
    case .reader: unsafe engine.pointee.feed.socket = ckeyturn_feed_connect(store.descriptor)
    case .agent:
      let socket = ckeyturn_feed_listen(store.descriptor)
      guard socket >= 0 else {
        throw Fault(
          .invalidOption, "Its socket cannot be made; an agent may be running.", option: "store_agent")
      }
      unsafe engine.pointee.feed.socket = socket
    }
  }

  func leaveFeed() { unsafe ckeyturn_store_close(engine.pointee.feed.socket) }

  // MARK: - A reader, under the control lock

  /// In place of a flight.
  func leave(_ flight: Flight, _ issuer: Issuer, _ source: Source, _ now: Int64) {
    if let digest = issuer.shelf?.digest {
      let kind = Feed.kind(flight.reason, isServed: source.isServing(now))
      let kid = kind == .missed ? source.missedKid : 0
      issuer.shelf?.asked = kid
      tell(AgentCall(kind, digest, kid: kid), now)
    }
    source.takeKids()
    _ = source.next(.leftToAgent, now: now)
  }

  /// To an agent that may have come after the one that it was connected to.
  private func tell(_ call: AgentCall, _ now: Int64) {
    if unsafe engine.pointee.feed.socket >= 0, send(call) { return }
    guard let store, unsafe now >= engine.pointee.feed.nextLook else { return }
    let socket = ckeyturn_feed_connect(store.descriptor)
    unsafe ckeyturn_store_close(engine.pointee.feed.socket)
    unsafe engine.pointee.feed.socket = socket
    unsafe engine.pointee.feed.nextLook = now &+ Feed.lookInterval
    if socket >= 0, send(call) {
      if unsafe engine.pointee.troubles.fault(.agent) == .absent { hearAgent(now) }
    } else {
      note(.agent, .absent, at: now)
    }
  }

  /// Once is nothing: it may have asked an issuer that lets it wait as long.
  func missAgent(_ now: Int64) {
    unsafe engine.pointee.feed.silences &+= 1
    if unsafe engine.pointee.feed.silences > 1, unsafe engine.pointee.troubles.fault(.agent) != .absent {
      note(.agent, .silent, at: now)
    }
  }

  func hearAgent(_ now: Int64) {
    unsafe engine.pointee.feed.silences = 0
    note(.agent, nil, at: now)
  }

  private func send(_ call: AgentCall) -> Bool {
    var octets = AgentCall.Octets(repeating: 0)
    return octets.withRoom { room in
      call.write(into: room)
      return unsafe ckeyturn_feed_send(engine.pointee.feed.socket, room.pointer, room.count) == 0
    }
  }

  /// What the agent has said to that, if it has.
  func hearAnswer(_ issuer: Issuer, _ source: Source, _ now: Int64) {
    guard let store, let shelf = issuer.shelf, let flight = source.flight, flight.isAgents else { return }
    func has(_ answer: FlightLock.Answer) -> Bool {
      FlightLock.has(answer, shelf.lockName, store, since: flight.began, now: now)
    }
    let isRefused = shelf.asked != 0 && has(.kid(shelf.asked))
    guard isRefused || has(.failure(store.boot)) else { return }
    hearAgent(now)
    if isRefused { source.refuseKid(shelf.asked, now: now) }
    settle(source, issuer, source.next(.answered(isFailure: !isRefused), now: now), now)
  }

  // MARK: - The agent

  /// Under the control lock: to all who wait for a flight.
  func tellOfFailure(_ issuer: Issuer, _ now: Int64) {
    guard let store, let shelf = issuer.shelf, unsafe engine.pointee.feed.role == .agent else { return }
    FlightLock.put(.failure(store.boot), shelf.lockName, store, now: now)
  }

  /// What readers have asked; answers are written in no lock.
  func hear() {
    guard let store, agentSocket >= 0 else { return }
    let now = time
    while let heard = ControlLock.with({ hearOne(store, now) }) {
      if let (answer, name) = heard.answer { FlightLock.put(answer, name, store, now: now) }
    }
  }

  private struct Heard {
    var answer: (FlightLock.Answer, StoreName)?
  }

  /// Nil if there is nothing to hear, or not yet.
  private func hearOne(_ store: StoreDirectory, _ now: Int64) -> Heard? {
    guard unsafe engine.pointee.feed.pause(now) == 0 else { return nil }
    var octets = AgentCall.Octets(repeating: 0)
    return octets.withRoom { room in
      var user: UInt32 = 0
      let length = unsafe ckeyturn_feed_receive(agentSocket, room.pointer, room.count, &user)
      guard length >= 0 else { return nil }
      unsafe engine.pointee.feed.hear()
      guard length == room.count, let call = AgentCall(room.bytes(room.count)),
        let issuer = issuer(call.issuer), let shelf = issuer.shelf, issuer.source.isFetched
      else { return Heard() }
      let isOperator = user == 0 || user == ckeyturn_effective_user()
      let answer = heed(call, isOperator, issuer, issuer.source, store, now)
      return Heard(answer: answer.map { ($0, shelf.lockName) })
    }
  }

  /// What to answer. The operator's bucket is for the agent's own user and for root: from anybody else their word counts
  /// as much as a missed kid.
  private func heed(
    _ call: AgentCall, _ isOperator: Bool, _ issuer: Issuer, _ source: Source, _ store: StoreDirectory,
    _ now: Int64
  ) -> FlightLock.Answer? {
    let failure = FlightLock.Answer.failure(store.boot)
    source.name()
    switch call.kind {
    case .named: return nil
    case .byOperator where isOperator:
      // One too many is no failure, of which others would hear.
      do throws(Status) { try refresh(issuer, source, now: now) } catch {
        return error == .throttled ? nil : failure
      }
    case .badSignature: _ = source.isRekeying(now: now)
    case .missed where source.isServing(now), .byOperator where source.isServing(now):
      switch source.missed(hash: call.kid, now: now) {
      case .pending: return nil
      case .listed, .throttled: return .kid(call.kid)
      case .failed, nil: return failure
      }
    case .asked, .missed, .byOperator:
      return source.missedAll() == .pending || source.isServing(now) ? nil : failure
    }
    return nil
  }
}

extension Feed {
  /// What a flight would have been for. One that the schedule asks for is the agent's to make, who is to know
  /// that the issuer is in use.
  fileprivate static func kind(_ reason: FlightReason, isServed: Bool) -> AgentCall.Kind {
    guard isServed else { return reason == .byOperator ? .byOperator : .asked }
    switch reason {
    case .missingKid: return .missed
    case .rekey: return .badSignature
    case .byOperator: return .byOperator
    default: return .named
    }
  }
}
