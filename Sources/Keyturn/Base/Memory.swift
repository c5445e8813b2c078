internal import CKeyturn

/// The one door for memory that the core takes itself. Failure is an answer, never the end of the process.
enum Memory {
  /// Zeroed, aligned to 64 octets; released by `release`.
  @unsafe static func allocate(_ count: Int) throws(Status) -> UnsafeMutableRawPointer {
    guard count >= 0, let memory = unsafe ckeyturn_allocate(count) else { throw .noMemory }
    return unsafe memory
  }

  @unsafe static func release(_ memory: UnsafeMutableRawPointer?) {
    unsafe ckeyturn_free(memory)
  }

  @unsafe static func wipe(_ memory: UnsafeMutableRawPointer, _ count: Int) {
    unsafe ckeyturn_wipe(memory, count)
  }
}
