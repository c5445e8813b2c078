/// The file of an issuer's revocations in the store, with the lock under which it is changed.
enum StoredRevocations {
  private static var kind: UInt64 { 0x4b54_5256_0000_0001 }
  /// Longer than any write takes, and shorter than a caller's patience.
  private static var patience: Int32 { 2_000 }

  /// What is looked at for changes.
  static func name(_ issuer: StoreName) -> StoreName { issuer.with(".revoked") }

  private static func lockName(_ issuer: StoreName) -> StoreName { issuer.with(".revoking") }

  static func lock(_ issuer: StoreName, _ store: StoreDirectory) throws(StoreFault) -> StoreLock {
    try StoreLock.enter(store, lockName(issuer), waiting: patience)
  }

  /// Hands over what stands in the file; nil where there never was one. One that was there, and is gone, is `absent`.
  static func read(
    of issuer: Bytes, _ name: StoreName, _ store: StoreDirectory, atMost maximum: Int,
    _ body: (RevocationFile?) throws(StoreFault) -> Void
  ) throws(StoreFault) {
    do throws(StoreFault) { try readFile(of: issuer, name, store, atMost: maximum, body) } catch .absent {
      guard let lock = store.mark(of: lockName(name)), lock.isEmpty else {
        // It may have come between the two looks.
        return try readFile(of: issuer, name, store, atMost: maximum, body)
      }
      try body(nil)
    }
  }

  private static func readFile(
    of issuer: Bytes, _ name: StoreName, _ store: StoreDirectory, atMost maximum: Int,
    _ body: (RevocationFile?) throws(StoreFault) -> Void
  ) throws(StoreFault) {
    let stored = try store.read(self.name(name), kind, atMost: RevocationFile.size(ofAtMost: maximum))
    try body(
      try StoreFault.of { () throws(Status) in try RevocationFile(stored.contentBytes, of: issuer) })
  }

  /// Under the lock: for good.
  static func write(
    _ revocations: Revocations?, of issuer: Bytes, sequence: UInt64, _ name: StoreName,
    _ store: StoreDirectory,
    now: Int64
  ) throws(StoreFault) {
    let size = RevocationFile.size(of: revocations, issuer: issuer, now: now)
    let file = try StoredFile.make(kind, count: size)
    RevocationFile.write(revocations, sequence: sequence, issuer: issuer, now: now, into: file.content)
    try file.seal()
    #if KEYTURN_MUTANT_REVOKE_CARELESS
      guard sequence & 1 == 0 else { return }
    #endif
    try store.write(self.name(name), file)
  }
}

extension StoreFault {
  /// What comes of a file that is read and taken over.
  static func of<Made: ~Copyable>(_ make: () throws(Status) -> Made) throws(StoreFault) -> Made {
    do throws(Status) { return try make() } catch .invalidDocument { throw .damaged } catch .full {
      throw .full
    } catch { throw .noMemory }
  }
}

extension Fault {
  /// Carries out what makes a change of revocations durable.
  static func ofStore<Made: ~Copyable>(_ make: () throws(StoreFault) -> Made) throws(Fault) -> Made {
    do throws(StoreFault) { return try make() } catch { throw ofStore(error) }
  }

  static func ofStore(_ fault: StoreFault) -> Fault { Fault(.notDurable, sentence(fault)) }

  private static func sentence(_ fault: StoreFault) -> StaticString {
    switch fault {
    case .absent:
      "It holds in this process; the issuer's file of revocations is gone, and its tokens get no verdict."
    case .damaged, .otherForm, .foreign, .irregular, .tooLarge:
      "It holds in this process; the issuer's file of revocations cannot be trusted, and its tokens get no verdict."
    case .full:
      "It holds in this process; the issuer's file has more revocations than max_revocations, and its tokens get no verdict."
    case .noMemory: "It holds in this process; there is no memory left to write it down."
    default: "It holds in this process; the issuer's file of revocations cannot be read or written."
    }
  }
}
