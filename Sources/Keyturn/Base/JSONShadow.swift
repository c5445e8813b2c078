/// Strings of a JSON text without their escapes. An escaped string is written into a shadow of the text,
/// at the place where it stands in the text itself: an unescaped string is never longer, so no two meet,
/// and the same string asked for twice is the same octets.
struct JSONShadow {
  /// The text, and other texts beside it.
  let text: Bytes
  /// As large as the text.
  let room: Room

  func plain(_ string: JSONString) -> Bytes {
    guard string.escaped else { return string.raw }
    guard let place = string.raw.offset(in: text) else { return .empty }
    let own = room.slice(from: place, length: string.raw.count)
    guard let count = string.unescape(into: own) else { return .empty }
    return own.bytes(count)
  }
}
