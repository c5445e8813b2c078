extension Bytes {
  /// UTF-8 without control characters: what a host may say in an option.
  var isPlainText: Bool {
    var lexer = JSONLexer(self)
    while !lexer.isAtEnd {
      switch lexer.next {
      case 0x20..<0x7f: lexer.skip()
      case 0xc2 where (byte(at: lexer.position &+ 1) ?? 0) < 0xa0: return false  // U+0080 to U+009F
      case 0x80...:
        do throws(Status) { try lexer.character() } catch { return false }
      default: return false
      }
    }
    return true
  }
}
