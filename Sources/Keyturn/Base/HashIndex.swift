/// From a name to places in a list: open addressing under a secret hash, so that nobody outside can choose
/// collisions. Places of one name come out in the order in which they went in.
struct HashIndex {
  private let slots: Items<UInt32>
  private let key: HashKey

  /// Over `slots(for:)` zeroed slots, which stand beside the list.
  init(_ slots: Items<UInt32>, key: HashKey) {
    self.slots = slots
    self.key = key
  }

  /// A power of two, at most half of it taken, so that a probe ends soon.
  static func slots(for count: Int) -> Int {
    var slots = 8
    while slots < count &* 2 { slots &*= 2 }
    return slots
  }

  func add(_ name: Bytes, _ place: Int) {
    var slot = start(name)
    while let taken = slots.item(at: slot), taken != 0 { slot = next(slot) }
    slots.set(UInt32(truncatingIfNeeded: place &+ 1), at: slot)
  }

  /// Each place that may have the name; the caller compares.
  func forEach(_ name: Bytes, _ body: (Int) -> Void) {
    var slot = start(name)
    while let taken = slots.item(at: slot), taken != 0 {
      body(Int(taken) &- 1)
      slot = next(slot)
    }
  }

  /// As `forEach`, by the hash of a name, one after the other: nil behind the last.
  func place(_ number: Int, of hash: UInt64) -> Int? {
    guard let taken = slots.item(at: (Int(truncatingIfNeeded: hash) &+ number) & (slots.count &- 1)),
      taken != 0
    else { return nil }
    return Int(taken) &- 1
  }

  private func start(_ name: Bytes) -> Int {
    Int(truncatingIfNeeded: hash(name)) & (slots.count &- 1)
  }

  func hash(_ name: Bytes) -> UInt64 { SipHash.hash13(name, key: key) }

  private func next(_ slot: Int) -> Int { (slot &+ 1) & (slots.count &- 1) }
}
