internal import CKeyturn

/// A file of the store in memory: what kind it is, how long its content is, the content, and SHA-256 over all of
/// that. So a file that is cut off, damaged, of another kind or of another release's form is told from a whole
/// one before anything in it is believed.
struct StoredFile: ~Copyable {
  private let buffer: Buffer
  private let count: Int

  /// Kind and length before the content, the sum behind it.
  private static var start: Int { 16 }
  static var overhead: Int { start &+ SHA256.length }

  /// Zeroed content to be written, then `seal`ed.
  static func make(_ kind: UInt64, count: Int) throws(StoreFault) -> StoredFile {
    guard count >= 0 else { throw .noMemory }
    let file = try StoredFile(size: count &+ overhead)
    file.buffer.room.set(word: kind, at: 0)
    file.buffer.room.set(word: UInt64(truncatingIfNeeded: count), at: 8)
    return file
  }

  /// Without content.
  static var empty: StoredFile { StoredFile() }

  private init() {
    buffer = Buffer(maximum: 0)
    count = 0
  }

  /// Zeroed, to be filled from a file.
  init(size: Int) throws(StoreFault) {
    do throws(Status) { buffer = try Buffer.of(size) } catch { throw .noMemory }
    count = size
  }

  /// All of it.
  var octets: Bytes { buffer.room.bytes(count) }
  var room: Room { buffer.room.slice(from: 0, length: count) }

  var content: Room { buffer.room.slice(from: StoredFile.start, length: count &- StoredFile.overhead) }
  var contentBytes: Bytes { content.bytes(count &- StoredFile.overhead) }

  func seal() throws(StoreFault) {
    try writeSum(into: buffer.room.slice(from: count &- SHA256.length, length: SHA256.length))
  }

  /// Throws unless it is whole, and of this kind.
  func check(_ kind: UInt64) throws(StoreFault) {
    guard count >= StoredFile.overhead, let found = octets.word(at: 0), found &>> 32 == kind &>> 32,
      octets.word(at: 8) == UInt64(truncatingIfNeeded: count &- StoredFile.overhead)
    else { throw .damaged }
    var digest = InlineArray<32, UInt8>(repeating: 0)
    try digest.withRoom { sum throws(StoreFault) in
      try writeSum(into: sum)
      guard sum.bytes(SHA256.length) == octets.slice(from: count &- SHA256.length) else { throw .damaged }
    }
    guard found == kind else { throw .otherForm }
  }

  private func writeSum(into sum: Room) throws(StoreFault) {
    do throws(Status) {
      try SHA256.write(octets.slice(from: 0, length: count &- SHA256.length), into: sum)
    } catch { throw .noMemory }
  }
}

/// Why something could not be read from the store, or written. The numbers are those of `jwks_store_fault` in keyturn.h.
enum StoreFault: UInt8, Error {
  case absent = 1
  /// Not whole.
  case damaged = 2
  /// Whole, and of another release's form: the lower half of its kind.
  case otherForm = 3
  /// Of an owner who is not believed, or others may write it.
  case foreign = 4
  /// No regular file.
  case irregular = 5
  case tooLarge = 6
  /// More than there may be.
  case full = 7
  case fromFuture = 8
  /// Whole, but not what would be accepted from the network.
  case notAccepted = 9
  case denied = 10
  case noSpace = 11
  case readOnly = 12
  /// Nobody answers.
  case silent = 13
  /// The system has no descriptor or watch left.
  case exhausted = 14
  /// The system or the medium fails otherwise.
  case failed = 15
  case noMemory = 16

  /// What the system has just refused.
  static var ofSystem: StoreFault {
    StoreFault(rawValue: UInt8(truncatingIfNeeded: ckeyturn_store_fault())) ?? .failed
  }
}
