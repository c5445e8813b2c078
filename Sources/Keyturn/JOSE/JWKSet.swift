/// A JWK Set (RFC 7517 section 5), read whole: each of its keys is made ready for use, or told apart with the
/// reason why it cannot be used.
struct JWKSet: ~Copyable {
  /// One key of the document. It borrows from the set, which also holds the key.
  struct Entry {
    var index = 0
    var fault = KeyFault.notAnObject
    /// Read from Base64 that the RFC does not allow, but issuers publish.
    var lenient = false
    var key: Key?
    var kid = Bytes.empty
    /// Empty where it could not be made, or where it would tell of a secret that is left out.
    var thumbprint = Bytes.empty
    var bits: UInt32 = 0
  }

  /// What the document says beside its keys.
  struct Notes: BitwiseCopyable {
    /// Of a SPIFFE bundle, whose every change has a higher one (SPIFFE Trust Domain and Bundle, section 4.1).
    var sequence: Int64?
    /// In seconds, of a SPIFFE bundle: how soon to look again.
    var refreshHint: Int64?
    /// Unix seconds, of a signed set.
    var expiry: Int64?
  }

  private let entries: Table<Entry>
  /// Kids and thumbprints.
  private let texts: Buffer

  var notes = Notes()

  var count: Int { entries.count }

  func entry(_ index: Int) -> Entry { entries.record(at: index) ?? Entry() }

  /// Puts a record that is there already in the place of each new one that is the same key.
  func share(_ existing: (Key) -> Key?) {
    for index in count.times {
      var entry = entry(index)
      guard let key = entry.key, let shared = existing(key) else { continue }
      shared.retain()
      key.release()
      entry.key = shared
      entries.set(entry, at: index)
    }
  }

  /// The set is refused whole if it is not a JWK Set, is too large, or holds no key that can be used; but an empty
  /// SPIFFE bundle says that nothing is valid.
  static func read(_ document: Bytes, rules: KeyRules) throws(Fault) -> JWKSet {
    let set = try readEvenEmpty(document, rules: rules)
    try set.refuseEmpty(rules)
    return set
  }

  func refuseEmpty(_ rules: KeyRules) throws(Fault) {
    guard hasUsableKey || rules.use == .jwtSVID else {
      throw Fault(.invalidDocument, "None of the keys in the set can be used.")
    }
  }

  /// The same, for who decides himself what a set without usable keys means.
  static func readEvenEmpty(_ document: Bytes, rules: KeyRules) throws(Fault) -> JWKSet {
    guard Libcrypto.isAlive else { throw Fault(.cryptoFailure, "The process is ending: libcrypto is gone.") }
    let parsed = try Document(document)
    guard let keys = parsed.top.member("keys"), let count = keys.elementCount else {
      throw Fault(.invalidDocument, "The document is not a JWK Set: it has no array named \"keys\".")
    }
    guard count <= rules.maxKeys else {
      throw Fault(.invalidDocument, "The set has more keys than max_keys allows.", option: "max_keys")
    }
    if rules.symmetric { try refuseOtherKinds(keys, count) }
    // Before the set: one that is thrown away while it is changed would keep its keys.
    let notes = rules.use == .jwtSVID ? try Notes(bundle: document) : Notes()
    var set = try Fault.of { () throws(Status) in
      try JWKSet.make(keys, count, rules, documentLength: document.count)
    }
    set.notes = notes
    return set
  }

  /// A set holds secrets or public keys, never both.
  private static func refuseOtherKinds(_ keys: DocumentValue, _ count: Int) throws(Fault) {
    for index in count.times {
      guard let value = keys.element(index) else { continue }
      let type = Result { () throws(KeyFault) in try JWK(value).type }
      guard case .success(let type) = type, type != .oct else { continue }
      throw Fault(
        .invalidDocument, "The set has keys that are not `oct`; symmetric keys stand in a set of their own.",
        option: "allow_symmetric")
    }
  }

  private static func make(
    _ keys: DocumentValue, _ count: Int, _ rules: KeyRules, documentLength: Int
  ) throws(Status) -> JWKSet {
    let set = try JWKSet(keys, count)
    try set.fill(from: keys, KeyReader(rules, documentLength: documentLength))
    return set
  }

  /// The same set, read by the rules `old`, with those keys alone that `new` admits, and for its algorithms alone.
  func narrowed(from old: KeyRules, to new: KeyRules) throws(Status) -> JWKSet {
    // Each use, and each kind of source, has keys of its own.
    let isOther = old.use != new.use || old.symmetric != new.symmetric
    var set = try JWKSet(count, texts: Buffer.of(texts.capacity))
    if !isOther { set.notes = notes }
    var end = 0
    for index in count.times {
      var entry = entry(index)
      entry.kid = set.keep(entry.kid, &end)
      entry.thumbprint = set.keep(entry.thumbprint, &end)
      if let key = entry.key {
        let isPinned = new.allow(entry.thumbprint)
        entry.key = isOther || !isPinned ? nil : try key.narrowed(to: new.issuerAlgorithms)
        if entry.key == nil { entry.fault = isOther ? .otherUse : isPinned ? .notAllowed : .notPinned }
      }
      set.entries.set(entry, at: index)
    }
    return set
  }

  private func keep(_ text: Bytes, _ end: inout Int) -> Bytes {
    texts.room.copy(text, at: end)
    defer { end &+= text.count }
    return texts.room.slice(from: end, length: text.count).bytes(text.count)
  }

  private init(_ keys: DocumentValue, _ count: Int) throws(Status) {
    try self.init(count, texts: JWKSet.roomForTexts(keys, count))
  }

  private init(_ count: Int, texts: consuming Buffer) throws(Status) {
    entries = try Table(count: count, initial: Entry())
    self.texts = texts
  }

  deinit {
    for index in count.times { entry(index).key?.release() }
  }

  private static func roomForTexts(_ keys: DocumentValue, _ count: Int) throws(Status) -> Buffer {
    var length = 0
    for index in count.times {
      length &+= Thumbprint.length &+ (keys.element(index)?.member("kid")?.text?.count ?? 0)
    }
    return try Buffer.of(length)
  }

  var hasUsableKey: Bool {
    for index in count.times where entry(index).key != nil { return true }
    return false
  }

  private func fill(from keys: DocumentValue, _ reader: borrowing KeyReader) throws(Status) {
    var end = 0
    for index in count.times {
      guard let value = keys.element(index) else { continue }
      let kid = value.member("kid")?.text ?? .empty
      var entry = Entry(index: index, kid: keep(kid, &end))
      try reader.read(value, into: &entry, thumbprint: texts.room.slice(from: end, length: Thumbprint.length))
      end &+= Thumbprint.length
      refuseRepetition(&entry)
      entries.set(entry, at: index)
    }
  }

  private func refuseRepetition(_ entry: inout Entry) {
    guard let key = entry.key else { return }
    for earlier in entry.index.times where self.entry(earlier).key?.sameAs(key) == true {
      key.release()
      entry.key = nil
      entry.fault = .repeated
      return
    }
  }
}

extension JWKSet.Notes {
  /// Of a document that was read whole. Numbers are looked at as they are written: jansson's are not exact.
  fileprivate init(bundle document: Bytes) throws(Fault) {
    let bundle = JSONValue(document)
    refreshHint = bundle?.member(Bytes("spiffe_refresh_hint"))?.number?.integer
    guard let member = bundle?.member(Bytes("spiffe_sequence")) else { return }
    guard let number = member.number?.integer, number >= 0 else {
      throw Fault(.invalidDocument, "The bundle's spiffe_sequence is no number that it can be.")
    }
    sequence = number
  }
}
