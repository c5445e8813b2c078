internal import Synchronization

/// Numbers for what lives a while: keys, issuers, caches. Unlike any other that this process ever gave out; 0 is none.
enum Serial {
  private static let last = Atomic<UInt64>(0)

  static func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}
