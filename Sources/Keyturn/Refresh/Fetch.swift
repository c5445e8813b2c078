internal import CKeyturn
internal import Synchronization

/// One request that the host's fetcher carries out, and what has come of it. The handle is a borrowed pointer.
///
/// From its start to its completion the fetcher holds it, then the engine until it has read the answer. A cancel
/// under way holds it too, since it may meet the completion.
@safe struct Fetch: Equatable {
  private let record: UnsafeMutablePointer<FetchRecord>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: FetchRecord.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  /// `owner` is not held here.
  @unsafe static func make(
    _ ticket: FetchTicket, _ plan: FetchPlan, owner: UnsafeMutableRawPointer, _ hook: FetchHook
  )
    throws(Status) -> Fetch
  {
    var arena = Arena.dry
    _ = FetchRequest(plan, &arena, hook.requestSize)
    let memory = try unsafe Memory.allocate(FetchRecord.size &+ arena.used)
    arena = unsafe Arena(memory + FetchRecord.size, capacity: arena.used)
    let request = FetchRequest(plan, &arena, hook.requestSize)
    unsafe memory.assumingMemoryBound(to: FetchRecord.self)
      .initialize(to: FetchRecord(ticket, request, owner: owner, hook))
    return unsafe Fetch(memory)
  }

  static func == (left: Fetch, right: Fetch) -> Bool { unsafe left.record == right.record }

  func retain() { unsafe record.pointee.holders.retain() }

  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }

  var ticket: FetchTicket { unsafe record.pointee.ticket }
  var request: FetchRequest { unsafe record.pointee.request }
  @unsafe var owner: UnsafeMutableRawPointer { unsafe record.pointee.owner }
  var hook: FetchHook { unsafe record.pointee.hook }

  @unsafe var user: UnsafeMutableRawPointer? {
    get { unsafe record.pointee.user.load(ordering: .acquiring) }
    nonmutating set { unsafe record.pointee.user.store(newValue, ordering: .releasing) }
  }

  /// Outside of every lock.
  func start() { unsafe hook.start(memory) }
  func cancel() { unsafe hook.cancel(memory) }

  // MARK: - Under the control lock

  var progress: FetchProgress {
    get { unsafe record.pointee.progress }
    nonmutating set { unsafe record.pointee.progress = newValue }
  }

  var isOfThisProcess: Bool { unsafe record.pointee.forks == ckeyturn_forks() }

  fileprivate var next: Fetch? {
    get { unsafe record.pointee.next }
    nonmutating set { unsafe record.pointee.next = newValue }
  }

  /// Once, with the completion.
  func exchange(_ reply: inout FetchReply) { unsafe swap(&record.pointee.reply, &reply) }

  var answer: FetchAnswer { unsafe record.pointee.reply.answer }
  var body: Bytes { unsafe record.pointee.reply.body }
  var etag: Bytes { unsafe record.pointee.reply.etag }
  var lastModified: Bytes { unsafe record.pointee.reply.lastModified }
}

/// For which flight of whom.
struct FetchTicket {
  let seat: UInt64
  let flight: UInt64
  /// Whether it asks for the discovery document.
  let isDiscovery: Bool
}

struct FetchProgress: BitwiseCopyable {
  /// The fetcher's `start` has returned: from then on it may be told to cancel.
  var isStarted = false
  var isCompleted = false
  /// The answer is not wanted any more.
  var isOrphan = false
}

/// What came back, beside its texts. HTTP status 0 is none.
struct FetchAnswer: BitwiseCopyable {
  var status = 0
  /// The fetcher's `jwks_fetch_failure`; 0 is none.
  var failure: UInt8 = 0
  var requests = 1
  var freshness = HTTPFreshness()

  static var tooLarge: UInt8 { 6 }
  static var other: UInt8 { 9 }
}

/// What came back, with texts of its own.
struct FetchReply: ~Copyable {
  private(set) var answer: FetchAnswer
  private var texts: Buffer
  private var bodyEnd = 0
  private var etagEnd = 0
  private var end = 0

  static var longestValidator: Int { 1_024 }

  /// A header field that a host's client may have let pass with a line's end in it would be two when it goes back.
  private static func isSentBack(_ validator: Bytes) -> Bool {
    validator.count <= longestValidator && validator.isPlainText
  }

  /// Without any text.
  init(_ answer: FetchAnswer) {
    self.answer = answer
    texts = Buffer(maximum: 0)
  }

  /// A body that is longer than was asked for, or for which there is no memory, leaves no answer.
  init(_ answer: FetchAnswer, body: Bytes, atMost maximum: Int, etag: Bytes, lastModified: Bytes) {
    self.init(answer)
    let etag = FetchReply.isSentBack(etag) ? etag : .empty
    let lastModified = FetchReply.isSentBack(lastModified) ? lastModified : .empty
    bodyEnd = body.count
    etagEnd = bodyEnd &+ etag.count
    end = etagEnd &+ lastModified.count
    do throws(Status) {
      guard body.count <= maximum else { throw .tooLarge }
      texts = try Buffer.of(end)
    } catch {
      self = FetchReply(FetchAnswer(failure: FetchAnswer.tooLarge, requests: answer.requests))
      return
    }
    texts.room.copy(body, at: 0)
    texts.room.copy(etag, at: bodyEnd)
    texts.room.copy(lastModified, at: etagEnd)
  }

  var body: Bytes { texts.room.bytes(bodyEnd) }
  var etag: Bytes { texts.room.bytes(etagEnd).slice(from: bodyEnd) }
  var lastModified: Bytes { texts.room.bytes(end).slice(from: etagEnd) }
}

/// What to fetch. Texts are borrowed, and may be empty for none.
struct FetchPlan {
  let target: SourceTarget
  let url: Bytes
  let etag: Bytes
  let lastModified: Bytes
  let maximumBody: Int
  let maximumRedirects: Int
  let connectTimeout: Int64
  let timeout: Int64
}

/// The same with texts of its own, each NUL-terminated.
@safe struct FetchRequest {
  let url: Bytes
  let etag: Bytes
  let lastModified: Bytes
  let headers: Items<UnsafePointer<UInt8>?>
  let caFile: Bytes
  let clientCertificate: Bytes
  let clientKey: Bytes
  let proxy: Bytes
  let maxRedirects: Int
  let maximumBody: Int
  let allowsHTTP: Bool
  let isPublicOnly: Bool
  let connectTimeout: Int64
  let timeout: Int64
  /// For the request as the C interface has it.
  let place: UnsafeMutableRawPointer?

  var isConditional: Bool { !etag.isEmpty || !lastModified.isEmpty }

  fileprivate init(_ plan: FetchPlan, _ arena: inout Arena, _ size: Int) {
    let target = plan.target
    let isOrigin = target.isOrigin(of: plan.url)
    url = arena.string(plan.url)
    etag = arena.string(plan.etag)
    lastModified = arena.string(plan.lastModified)
    let headers = isOrigin ? target.headers : .none
    let pointers = unsafe arena.items(headers.count, of: UnsafePointer<UInt8>?.self)
    for place in headers.count.times {
      unsafe pointers.set(arena.string(headers.item(at: place) ?? .empty).pointer, at: place)
    }
    unsafe self.headers = unsafe pointers
    caFile = arena.string(target.caFile)
    clientCertificate = arena.string(isOrigin ? target.clientCertificate : .empty)
    clientKey = arena.string(isOrigin ? target.clientKey : .empty)
    proxy = arena.string(isOrigin ? target.proxy : .empty)
    maxRedirects = plan.maximumRedirects
    maximumBody = plan.maximumBody
    allowsHTTP = target.allowsHTTP
    isPublicOnly = target.mustBePublic(plan.url)
    connectTimeout = plan.connectTimeout
    timeout = plan.timeout
    unsafe place = unsafe arena.take(size)
  }
}

/// The host's fetcher. The C interface makes it, and carries out its two calls.
@safe struct FetchHook {
  typealias Call = @convention(c) (UnsafeMutableRawPointer) -> Void

  let start: Call
  let cancel: Call
  let hostStart: UnsafeRawPointer
  let hostCancel: UnsafeRawPointer
  let context: UnsafeMutableRawPointer?
  let requestSize: Int
  /// Only for one that was opened and not given.
  var hostStop: UnsafeRawPointer?
  var stop: (@convention(c) (UnsafeRawPointer, UnsafeMutableRawPointer?) -> Void)?

  @unsafe init(
    start: Call, cancel: Call, hostStart: UnsafeRawPointer, hostCancel: UnsafeRawPointer,
    context: UnsafeMutableRawPointer?, requestSize: Int
  ) {
    unsafe self.start = unsafe start
    unsafe self.cancel = unsafe cancel
    unsafe self.hostStart = unsafe hostStart
    unsafe self.hostCancel = unsafe hostCancel
    unsafe self.context = unsafe context
    self.requestSize = requestSize
  }

  /// Nothing of it is used later, nor now by others. Every fetch has been completed when it returns.
  func end() {
    if let stop = unsafe stop, let hostStop = unsafe hostStop { unsafe stop(hostStop, context) }
  }
}

/// Fetches in the order in which they came, linked through their records; under the control lock.
struct FetchList {
  private(set) var first: Fetch?
  private var last: Fetch?

  mutating func append(_ fetch: Fetch) {
    fetch.next = nil
    if let last { last.next = fetch } else { first = fetch }
    last = fetch
  }

  mutating func removeFirst() -> Fetch? {
    guard let fetch = first else { return nil }
    first = fetch.next
    if first == nil { last = nil }
    return fetch
  }
}

@safe struct FetchRecord: ~Copyable {
  /// First: see `Engine`.
  var progress = FetchProgress()
  let holders = Holders()
  let ticket: FetchTicket
  let request: FetchRequest
  let owner: UnsafeMutableRawPointer
  let hook: FetchHook
  let forks: UInt64
  let user = unsafe Atomic<UnsafeMutableRawPointer?>(nil)
  var next: Fetch?
  var reply = FetchReply(FetchAnswer())

  static var size: Int { (MemoryLayout<FetchRecord>.size &+ 63) & ~63 }

  @unsafe init(
    _ ticket: FetchTicket, _ request: FetchRequest, owner: UnsafeMutableRawPointer, _ hook: FetchHook
  ) {
    self.ticket = ticket
    self.request = request
    unsafe self.owner = owner
    self.hook = hook
    forks = ckeyturn_forks()
  }
}
