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

  init(_ role: Role) { self.role = role }

  /// More of them wait for the next round.
  static var mostCalls: Int { 256 }
  static var lookInterval: Int64 { 1_000 }
}

extension Cache {
  var isReader: Bool { unsafe engine.pointee.feed.role == .reader }

  /// The socket on which an agent listens; -1 where none does.
  var agentSocket: Int32 {
    unsafe engine.pointee.feed.role == .agent ? engine.pointee.feed.socket : -1
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
    func isAnswered(_ hash: UInt64) -> Bool {
      FlightLock.isAnswered(hash, shelf.lockName, store, since: flight.began, now: now)
    }
    let isRefused = shelf.asked != 0 && isAnswered(shelf.asked)
    guard isRefused || isAnswered(store.failure) else { return }
    hearAgent(now)
    if isRefused { source.refuseKid(shelf.asked, now: now) }
    settle(source, issuer, source.next(.answered(isFailure: !isRefused), now: now), now)
  }

  // MARK: - The agent

  /// Under the control lock: to whoever waits for a question of this hash.
  func answerReaders(_ issuer: Issuer, _ hash: UInt64, _ now: Int64) {
    guard let store, let shelf = issuer.shelf, unsafe engine.pointee.feed.role == .agent else { return }
    FlightLock.answer(hash, shelf.lockName, store, now: now)
  }

  func tellOfFailure(_ issuer: Issuer, _ now: Int64) {
    if let store { answerReaders(issuer, store.failure, now) }
  }

  /// What readers have asked.
  func hear() {
    guard agentSocket >= 0 else { return }
    let now = time
    for _ in Feed.mostCalls.times {
      var octets = AgentCall.Octets(repeating: 0)
      let (isOver, call) = octets.withRoom { room in
        let length = unsafe ckeyturn_feed_receive(agentSocket, room.pointer, room.count)
        return (length < 0, length == room.count ? AgentCall(room.bytes(room.count)) : nil)
      }
      guard !isOver else { return }
      if let call { ControlLock.with { heed(call, now) } }
    }
  }

  private func heed(_ call: AgentCall, _ now: Int64) {
    guard let issuer = issuer(call.issuer) else { return }
    let source = issuer.source
    source.name()
    switch call.kind {
    case .named: return
    case .byOperator:
      // One too many is no failure, of which others would hear.
      do throws(Status) { try refresh(issuer, source, now: now) } catch {
        if error != .throttled { tellOfFailure(issuer, now) }
      }
    case .badSignature: _ = source.isRekeying(now: now)
    case .missed where source.isServing(now): heed(call.kid, issuer, source, now)
    case .asked, .missed:
      if source.missedAll() != .pending, !source.isServing(now) { tellOfFailure(issuer, now) }
    }
  }

  /// A kid that is asked for is answered by what comes of that. Nobody has the one that stands for a failure.
  private func heed(_ kid: UInt64, _ issuer: Issuer, _ source: Source, _ now: Int64) {
    guard kid != store?.failure else { return }
    switch source.missed(hash: kid, now: now) {
    case .pending: return
    case .listed, .throttled: answerReaders(issuer, kid, now)
    case .failed, nil: tellOfFailure(issuer, now)
    }
  }

  /// One that is fetched.
  private func issuer(_ digest: IssuerDigest) -> Issuer? {
    var found: Issuer?
    unsafe engine.pointee.roster.visit { seat in
      if let issuer = seat.issuer, issuer.shelf?.digest == digest, issuer.source.isFetched { found = issuer }
    }
    return found
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
