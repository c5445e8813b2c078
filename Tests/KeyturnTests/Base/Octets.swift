import Glibc
import Synchronization

@testable import Keyturn

/// Octets in a heap block of exactly their size, so that AddressSanitizer sees a read beyond them. They stay
/// to the end of the process: a `Bytes` does not keep its owner alive.
struct Octets {
  private let base: UnsafeMutablePointer<UInt8>
  let count: Int

  private static let all = Mutex<[Int]>([])

  init(_ octets: some Collection<UInt8>) {
    count = octets.count
    base = .allocate(capacity: count)
    _ = UnsafeMutableBufferPointer(start: base, count: count).initialize(from: octets)
    let address = Int(bitPattern: base)
    Octets.all.withLock { $0.append(address) }
  }

  init(_ text: String) { self.init(Array(text.utf8)) }

  init(room count: Int) { self.init(repeatElement(0xaa, count: count)) }

  var bytes: Bytes { Bytes(base, count: count) }
  var room: Room { Room(base, count: count) }

  var array: [UInt8] { Array(UnsafeBufferPointer(start: base, count: count)) }
}

extension Bytes {
  var array: [UInt8] { (0..<count).compactMap { byte(at: $0) } }
}

extension JSONString {
  var content: [UInt8] {
    var (result, rest): ([UInt8], JSONOctets) = ([], octets)
    while let octet = rest.next() { result.append(octet) }
    return result
  }
}

/// A table of names, and the memory that it needs: the table is good as long as this object is.
final class Names {
  static let headerCount = 272
  static let key = HashKey(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)

  let memory: UnsafeMutableRawPointer
  let count: Int
  let table: NameTable

  init(maxMembers: Int = 512, key: HashKey = Names.key) {
    count = NameTable.byteCount(maxMembers: maxMembers)
    memory = .allocate(byteCount: count, alignment: 64)
    memset(memory, 0, count)
    table = NameTable(memory, maxMembers: maxMembers, key: key)
  }

  deinit { memory.deallocate() }
}

/// What the reader says to a text: the members that it tells, and its verdict.
struct Reading {
  var members: [(name: String, value: String)] = []
  var status: Status?

  init(
    _ text: [UInt8], maxMembers: Int = 512, maxNesting: Int = 32, names: Names? = nil, anyKind: Bool = false
  ) {
    let octets = Octets(text)
    let limits = JSONLimits(maxMembers: maxMembers, maxNesting: maxNesting)
    let names = names ?? Names(maxMembers: min(maxMembers, 1 << 20))
    do throws(Status) {
      let note: JSON.Member = { (name, value) throws(Status) in
        self.members.append((String(decoding: name.content, as: UTF8.self), value.text.text))
      }
      if anyKind {
        try JSON.validate(octets.bytes, limits: limits, names: names.table, member: note)
      } else {
        try JSON.readObject(octets.bytes, limits: limits, names: names.table, member: note)
      }
    } catch { status = error }
    withExtendedLifetime(names) {}
  }

  init(_ text: String, maxMembers: Int = 512, maxNesting: Int = 32, anyKind: Bool = false) {
    self.init(Array(text.utf8), maxMembers: maxMembers, maxNesting: maxNesting, anyKind: anyKind)
  }
}

/// Seconds of this thread's work, whatever else the machine does.
func work(_ body: () -> Void) -> Double {
  var (start, end) = (timespec(), timespec())
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start)
  body()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end)
  return Double(end.tv_sec - start.tv_sec) + Double(end.tv_nsec - start.tv_nsec) / 1e9
}
