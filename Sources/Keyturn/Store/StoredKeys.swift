/// What an issuer's file holds: the document that was last accepted, octet by octet as the issuer gave it, how long it
/// counts, and what to ask with when it is asked for again.
struct StoredKeys: ~Copyable {
  private let file: StoredFile
  /// Why there is nothing, if there is a file.
  let fault: StoreFault?

  static var ending: StaticString { ".keys" }

  /// The form's version is its last octet.
  private static var kind: UInt64 { 0x4b54_4b45_5953_0001 }
  private static var words: Int { 12 }

  private enum Word {
    static var began: Int { 0 }
    static var wall: Int { 1 }
    static var boot: Int { 2 }
    static var freshness: Int { 4 }
    static var limit: Int { 5 }
    static var isGenerated: Int { 6 }
    static var generated: Int { 7 }
    static var url: Int { 8 }
    static var etag: Int { 9 }
    static var lastModified: Int { 10 }
    static var document: Int { 11 }
  }

  private init(_ file: consuming StoredFile, _ fault: StoreFault? = nil) {
    self.file = file
    self.fault = fault
  }

  /// Nothing.
  static var none: StoredKeys { none(nil) }
  static func none(_ fault: StoreFault?) -> StoredKeys { StoredKeys(StoredFile.empty, fault) }

  // MARK: - Reading

  /// None unless the file is whole in every respect. What it says of times is not believed yet.
  static func read(_ name: StoreName, _ directory: StoreDirectory, atMost maximum: Int) throws(StoreFault)
    -> StoredKeys
  {
    let most = maximum &+ words &* 8 &+ HTTPURL.longest &+ 2 &* FetchReply.longestValidator
    let stored = StoredKeys(try directory.read(name, kind, atMost: most))
    guard stored.isConsistent else { throw .damaged }
    return stored
  }

  var isEmpty: Bool { file.contentBytes.isEmpty }
  var url: Bytes { text(Word.url) }
  var etag: Bytes { text(Word.etag) }
  var lastModified: Bytes { text(Word.lastModified) }
  var document: Bytes { text(Word.document) }

  /// As it counts now. Its age goes by the clock that counts since the machine was started, and where that has been
  /// started again since, by the wall clock. Nil for one that comes from the future by that clock.
  func accepted(_ directory: StoreDirectory, now: Int64, wall: Int64) throws(Status) -> RefreshRecord
    .Accepted?
  {
    guard let began = began(directory.boot, now, wall), began <= now else { return nil }
    return RefreshRecord.Accepted(
      began: began, freshness: number(Word.freshness), limit: number(Word.limit),
      digest: try SHA256.word(of: document),
      generated: number(Word.isGenerated) == 0 ? nil : number(Word.generated))
  }

  func isOf(_ accepted: RefreshRecord.Accepted) -> Bool {
    guard !isEmpty else { return false }
    do throws(Status) { return try SHA256.word(of: document) == accepted.digest } catch { return false }
  }

  private func began(_ boot: BootID, _ now: Int64, _ wall: Int64) -> Int64? {
    let began = number(Word.began)
    if boot.isKnown, word(Word.boot) == boot.low, word(Word.boot &+ 1) == boot.high { return began }
    let (age, isLong) = wall.subtractingReportingOverflow(number(Word.wall))
    guard !isLong, age >= 0, age < 1 &<< 40 else { return nil }
    return now &- age &* 1_000
  }

  private var isConsistent: Bool {
    var end = StoredKeys.words &* 8
    for place in 4.times {
      guard let length = Int(exactly: word(Word.url &+ place)), length <= file.contentBytes.count &- end
      else {
        return false
      }
      end &+= length
    }
    return end == file.contentBytes.count && !document.isEmpty
  }

  private func word(_ place: Int) -> UInt64 { file.contentBytes.word(at: place &* 8) ?? 0 }
  private func number(_ place: Int) -> Int64 { Int64(bitPattern: word(place)) }

  private func text(_ which: Int) -> Bytes {
    var start = StoredKeys.words &* 8
    var before = Word.url
    while before < which {
      start &+= Int(truncatingIfNeeded: word(before))
      before &+= 1
    }
    return file.contentBytes.slice(from: start, length: Int(truncatingIfNeeded: word(which)))
  }

  // MARK: - Writing

  /// `wall` is now too.
  static func write(
    _ accepted: RefreshRecord.Accepted, url: Bytes, etag: Bytes, lastModified: Bytes, document: Bytes,
    _ name: StoreName, _ directory: StoreDirectory, now: Int64, wall: Int64
  ) throws(StoreFault) {
    let end = words &* 8
    let texts = url.count &+ etag.count &+ lastModified.count
    let file = try StoredFile.make(kind, count: end &+ texts &+ document.count)
    let content = file.content
    func set(_ number: Int64, _ place: Int) {
      content.set(word: UInt64(bitPattern: number), at: place &* 8)
    }
    set(accepted.began, Word.began)
    // Rounded so that it is rather older than it is.
    set(wall &- (now &- accepted.began &+ 999) / 1_000, Word.wall)
    content.set(word: directory.boot.low, at: Word.boot &* 8)
    content.set(word: directory.boot.high, at: Word.boot &* 8 &+ 8)
    set(accepted.freshness, Word.freshness)
    set(accepted.limit, Word.limit)
    set(accepted.generated == nil ? 0 : 1, Word.isGenerated)
    set(accepted.generated ?? 0, Word.generated)
    set(Int64(url.count), Word.url)
    set(Int64(etag.count), Word.etag)
    set(Int64(lastModified.count), Word.lastModified)
    set(Int64(document.count), Word.document)
    content.copy(url, at: end)
    content.copy(etag, at: end &+ url.count)
    content.copy(lastModified, at: end &+ url.count &+ etag.count)
    content.copy(document, at: end &+ texts)
    try file.seal()
    try directory.write(name, file)
  }
}
