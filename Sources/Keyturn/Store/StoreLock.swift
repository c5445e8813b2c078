internal import CKeyturn

/// The lock under which a file of the store is read, changed and written, by one thread of all processes. Its own file
/// stays behind, and tells that what it guards has existed.
struct StoreLock {
  private let descriptor: Int32

  static func enter(
    _ store: StoreDirectory, _ name: StoreName, waiting milliseconds: Int32
  ) throws(StoreFault) -> StoreLock {
    let descriptor = unsafe name.read { name in
      unsafe ckeyturn_lock_enter(store.descriptor, name, milliseconds)
    }
    guard descriptor >= 0 else { throw .ofSystem }
    return StoreLock(descriptor: descriptor)
  }

  func leave() { ckeyturn_lock_leave(descriptor) }

  /// For good, once.
  func mark() throws(StoreFault) {
    guard ckeyturn_lock_mark(descriptor) == 0 else { throw .ofSystem }
  }
}
