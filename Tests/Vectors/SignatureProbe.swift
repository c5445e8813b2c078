/// One more export, in a library that only tests load: a signature over bare octets, as vectors have it.

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
