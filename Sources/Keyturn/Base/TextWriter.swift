/// Writes a NUL-terminated text into room of a fixed size. What does not fit is left off, but counted.
struct TextWriter {
  private let room: Room
  /// What the whole text takes, without its NUL.
  private(set) var count = 0

  init(_ room: Room) {
    self.room = room
    room.set(0, at: 0)
  }

  mutating func write(_ octet: UInt8) {
    if count &+ 1 < room.count {
      room.set(octet, at: count)
      room.set(0, at: count &+ 1)
    }
    count &+= 1
  }

  /// Not inlined, as a text has many parts.
  @inline(never)
  mutating func write(_ bytes: Bytes) {
    guard bytes.count < room.count &- count else {
      for position in bytes.count.times { write(bytes.byte(at: position) ?? 0) }
      return
    }
    room.copy(bytes, at: count)
    count &+= bytes.count
    room.set(0, at: count)
  }

  @inline(never)
  mutating func write(_ text: StaticString) { write(Bytes.of(text)) }

  /// A quoted-string (RFC 9110 section 5.6.4), which is how a label is written, too.
  @inline(never)
  mutating func writeQuoted(_ value: Bytes) {
    write(UInt8(ascii: "\""))
    for position in value.count.times {
      let octet = value.byte(at: position) ?? 0
      if octet == UInt8(ascii: "\"") || octet == UInt8(ascii: "\\") { write(UInt8(ascii: "\\")) }
      write(octet)
    }
    write(UInt8(ascii: "\""))
  }

  @inline(never)
  mutating func write(_ number: Int) {
    if number >= 10 { write(number / 10) }
    write(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number % 10))
  }
}
