/// What can be amiss with a store, for an issuer or for a cache as a whole. The numbers are those of
/// `jwks_store_trouble` in keyturn.h; their events stand in the same order.
enum StoreTrouble: UInt8, BitwiseCopyable {
  case keys = 0
  case revocations = 1
  case writing = 2
  case directory = 3
  case agent = 4
  case watching = 5

  static var count: Int { 8 }

  fileprivate var place: Int { Int(rawValue) & 7 }
  fileprivate var event: EventKind {
    EventKind(rawValue: EventKind.storeRefused.rawValue &+ rawValue) ?? .storeRefused
  }
}

/// Those that there are, and how often each was met. Each is told when it begins, once a minute at most, and when it is
/// over; so one that comes and goes fills no journal. Under the control lock.
struct Troubles: BitwiseCopyable {
  private var faults = InlineArray<8, UInt8>(repeating: 0)
  private var counts = InlineArray<8, UInt64>(repeating: 0)
  private var tellsFrom = InlineArray<8, Int64>(repeating: .min)
  private var told = InlineArray<8, Bool>(repeating: false)

  private static var interval: Int64 { 60_000 }

  /// nil while there is none.
  func fault(_ trouble: StoreTrouble) -> StoreFault? { StoreFault(rawValue: faults[trouble.place & 7]) }

  func fault(at place: Int) -> UInt8 { faults[place & 7] }
  func count(at place: Int) -> UInt64 { counts[place & 7] }

  /// As it was just found.
  @inline(never)
  mutating func note(_ trouble: StoreTrouble, _ fault: StoreFault?, at now: Int64, _ teller: Teller) {
    let place = trouble.place & 7
    guard fault != nil || faults[place] != 0 else { return }
    faults[place] = fault?.rawValue ?? 0
    if fault != nil { counts[place] &+= 1 }
    guard told[place] == (fault == nil), fault == nil || now >= tellsFrom[place] else { return }
    told[place] = fault != nil
    if fault != nil { tellsFrom[place] = now &+ Troubles.interval }
    let kind = fault == nil ? EventKind.storeSound : trouble.event
    let reason = fault.map { UInt32($0.rawValue) } ?? UInt32(trouble.event.rawValue)
    teller.tell(Event(kind, reason: reason, count: counts[place]), at: now)
  }
}
