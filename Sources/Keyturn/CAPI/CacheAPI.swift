public import CKeyturnAPI

private let mostIssuers = 1_048_576
private let mostRevocations = 1_048_576

@_cdecl("jwks_cache_new") @implementation
public func jwks_cache_new(
  _ options: UnsafePointer<jwks_cache_options>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<jwks_error>?
) -> jwt_status {
  unsafe answer(error) { () throws(Fault) in
    guard let out = unsafe out else { throw .null("out") }
    var known = unsafe jwks_cache_options()
    if let options = unsafe options { try unsafe Options.read(options, into: &known) }
    let maximum = try unsafe Options.count(
      known.max_issuers, OptionName("max_issuers"), default: 16_384, 1...mostIssuers)
    let revocations = try unsafe Options.count(
      known.max_revocations, OptionName("max_revocations"), default: 65_536, 1...mostRevocations)
    let fetches = try unsafe Options.count(
      known.max_fetches, OptionName("max_fetches"), default: 64, 1...4_096)
    let events = try unsafe Options.count(
      known.max_events, OptionName("max_events"), default: 1_024, 1...65_536)
    let tokens = try unsafe Options.tokens(known.token_cache)
    let clock = unsafe WallClock(known.clock, context: known.clock_context)
    let steady = unsafe SteadyClock(known.monotonic, context: known.monotonic_context)
    let hook = try unsafe FetchHook(known.fetcher)
    let tables = try unsafe Options.time(known.key_tables, OptionName("key_tables"), default: 0, atMost: 1)
    let role = try unsafe Feed.Role(known)
    let cache = try Fault.of { () throws(Status) in
      try Cache.make(
        clock: clock, steady: steady, hook: hook, maximumIssuers: maximum, maximumRevocations: revocations,
        maximumFetches: fetches, maximumEvents: events, feed: role, tokens: tokens)
    }
    cache.tableMaking = tables.map { $0 == 0 ? .started : .always } ?? .never
    do throws(Fault) {
      cache.store = try unsafe StoreDirectory(known, isReader: role == .reader)
      try cache.joinFeed()
    } catch {
      cache.release()
      throw error
    }
    unsafe out.pointee = OpaquePointer(cache.memory)
  }
}

@_cdecl("jwks_cache_retain") @implementation
public func jwks_cache_retain(_ cache: OpaquePointer?) -> OpaquePointer? {
  unsafe Cache.retain(cache)
}

@_cdecl("jwks_cache_release") @implementation
public func jwks_cache_release(_ cache: OpaquePointer?) {
  unsafe Cache.release(cache)
}

@_cdecl("jwks_cache_start") @implementation
public func jwks_cache_start(_ cache: OpaquePointer?, _ error: UnsafeMutablePointer<jwks_error>?)
  -> jwt_status
{
  unsafe answer(error) { () throws(Fault) in
    guard let cache = unsafe Cache(cache) else { throw .null("cache") }
    try cache.start { () throws(Fault) in try FetchLibrary.open() }
  }
}

@_cdecl("jwks_cache_stop") @implementation
public func jwks_cache_stop(_ cache: OpaquePointer?) {
  unsafe Cache(cache)?.stop()
}

extension Cache: CountedHandle {
  var cache: Cache { self }
}

extension Options {
  /// 0 for none.
  fileprivate static func tokens(_ octets: Int64) throws(Fault) -> Int {
    let name = OptionName("token_cache")
    guard let size = try time(octets, name, default: 1 &<< 24, atMost: 1 &<< 36) else { return 0 }
    guard size >= TokenCache.smallest else { throw name.refused("It is too small for any token.") }
    return Int(size)
  }
}

extension Feed.Role {
  @unsafe fileprivate init(_ known: jwks_cache_options) throws(Fault) {
    let isReader = try unsafe Options.flag(known.store_reader, OptionName("store_reader"))
    let isAgent = try unsafe Options.flag(known.store_agent, OptionName("store_agent"))
    let name = isReader ? OptionName("store_reader") : OptionName("store_agent")
    guard !isReader || !isAgent else { throw name.refused("Not both it and store_agent.") }
    guard unsafe !isReader && !isAgent || known.store != nil else { throw name.refused("It needs store.") }
    self = isReader ? .reader : isAgent ? .agent : .none
  }
}

extension StoreDirectory {
  /// nil for none.
  @unsafe fileprivate init?(_ known: jwks_cache_options, isReader: Bool) throws(Fault) {
    let path = try unsafe Options.text(known.store, OptionName("store"), atMost: 4_096)
    let user = try unsafe Options.text(known.store_user, OptionName("store_user"), atMost: 256)
    guard let path else {
      guard user == nil else { throw OptionName("store_user").refused("It needs store.") }
      return nil
    }
    self = try StoreDirectory.open(path, trusting: user ?? .empty, isReader: isReader)
  }
}

extension Fault {
  static func null(_ argument: StaticString) -> Fault {
    Fault(.invalidArgument, "It is NULL.", option: argument)
  }
}
