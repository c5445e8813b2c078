/// A text that is kept, and may become another one.
struct OwnedText: ~Copyable {
  private var buffer: Buffer
  private var count = 0

  init(maximum: Int) { buffer = Buffer(maximum: maximum) }

  var bytes: Bytes { buffer.room.bytes(count) }

  mutating func set(_ text: Bytes) throws(Status) {
    try buffer.reserve(text.count)
    buffer.room.copy(text, at: 0)
    count = text.count
  }

  mutating func clear() { count = 0 }
}
