/// More exports, in a library that only tests load: signatures over bare octets, as vectors have them.

/// The keys are the first usable one of a JWK Set. Gives a `jwt_status`: what refuses the set, or what
/// `Key.verify` says.
@_cdecl("keyturn_probe_verify_signature")
public func keyturn_probe_verify_signature(
  _ set: UnsafePointer<UInt8>?, _ setLength: Int, _ algorithm: UnsafePointer<UInt8>?, _ algorithmLength: Int,
  _ input: UnsafePointer<UInt8>?, _ inputLength: Int, _ signature: UnsafePointer<UInt8>?,
  _ signatureLength: Int
) -> UInt32 {
  let document = unsafe Bytes(set, count: setLength)
  let name = unsafe Bytes(algorithm, count: algorithmLength)
  let input = unsafe Bytes(input, count: inputLength)
  let signature = unsafe Bytes(signature, count: signatureLength)
  guard let algorithm = Algorithm(name: name) else { return Status.algorithmNotAllowed.rawValue }
  let rules = KeyRules(
    issuerAlgorithms: .known, use: .sig, symmetric: AlgorithmSet.symmetric.contains(algorithm), maxKeys: 1)
  let keys: JWKSet
  do { keys = try JWKSet.read(document, rules: rules) } catch { return error.status.rawValue }
  guard let key = keys.entry(0).key else { return Status.keyNotFound.rawValue }
  do {
    let reader = try Reader.ofThisThread()
    try key.verify(algorithm, input: input, signature: signature, keeping: reader.contexts)
  } catch { return error.rawValue }
  return 0
}

// MARK: - With a key that is kept

/// The first usable key of a set that is not secret, with its table at once if `table` is 1. NULL if there is none.
@_cdecl("keyturn_probe_key_new")
public func keyturn_probe_key_new(
  _ set: UnsafePointer<UInt8>?, _ setLength: Int, _ table: Int32
) -> UnsafeMutableRawPointer? {
  let document = unsafe Bytes(set, count: setLength)
  let rules = KeyRules(issuerAlgorithms: .known, use: .sig, symmetric: false, maxKeys: 1)
  let keys: JWKSet
  do { keys = try JWKSet.read(document, rules: rules) } catch { return nil }
  guard let key = keys.entry(0).key, table == 0 || makeTable(key) else { return nil }
  do {
    let memory = try unsafe Memory.allocate(MemoryLayout<Key>.size)
    unsafe memory.initializeMemory(as: Key.self, to: key)
    key.retain()
    return unsafe memory
  } catch { return nil }
}

private func makeTable(_ key: Key) -> Bool {
  guard PointTable.reserve() else { return false }
  guard let made = unsafe PointTable.make(key.kind, key.publicKey) else {
    PointTable.giveBack()
    return false
  }
  key.put(made)
  return true
}

@_cdecl("keyturn_probe_key_verify")
public func keyturn_probe_key_verify(
  _ memory: UnsafeMutableRawPointer?, _ algorithm: UnsafePointer<UInt8>?, _ algorithmLength: Int,
  _ input: UnsafePointer<UInt8>?, _ inputLength: Int, _ signature: UnsafePointer<UInt8>?,
  _ signatureLength: Int
) -> UInt32 {
  guard let key = unsafe memory?.assumingMemoryBound(to: Key.self).pointee,
    let algorithm = Algorithm(name: unsafe Bytes(algorithm, count: algorithmLength))
  else { return Status.algorithmNotAllowed.rawValue }
  do {
    let reader = try Reader.ofThisThread()
    try key.verify(
      algorithm, input: unsafe Bytes(input, count: inputLength),
      signature: unsafe Bytes(signature, count: signatureLength), keeping: reader.contexts)
  } catch { return error.rawValue }
  return 0
}

@_cdecl("keyturn_probe_key_release")
public func keyturn_probe_key_release(_ memory: UnsafeMutableRawPointer?) {
  unsafe memory?.assumingMemoryBound(to: Key.self).pointee.release()
  unsafe Memory.release(memory)
}
