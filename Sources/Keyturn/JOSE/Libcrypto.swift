internal import COpenSSL
internal import Synchronization

/// libcrypto as this process has it: what it offers, and whether it is still there.
enum Libcrypto {
  private static let isGone = Atomic<Bool>(false)
  private static let isWatched = Atomic<Bool>(false)

  /// False once OPENSSL_cleanup has run: nothing of libcrypto's may be freed after that.
  static var isAlive: Bool { !isGone.load(ordering: .acquiring) }

  /// Has libcrypto read its configuration, before a host goes where files cannot be opened, and asks to be told
  /// of OPENSSL_cleanup. Under the control lock.
  static func start() throws(Status) {
    guard !isWatched.load(ordering: .acquiring) else { return }
    guard OPENSSL_init_crypto(UInt64(OPENSSL_INIT_LOAD_CONFIG), nil) == 1 else { throw .cryptoFailure }
    let asked = OPENSSL_atexit { Libcrypto.isGone.store(true, ordering: .releasing) }
    guard asked == 1 else { throw .noMemory }
    isWatched.store(true, ordering: .releasing)
  }

  /// For a thread that verifies in its last destructors: libcrypto's own may have run already, and would not
  /// run again for what it has since made anew.
  static func endThread() {
    if isAlive { OPENSSL_thread_stop() }
  }

  fileprivate static func offers(_ algorithm: Algorithm) -> Bool {
    switch algorithm {
    case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: offersSignature("RSA")
    case .es256: offersGroup(KeyKind.p256.name)
    case .es384: offersGroup(KeyKind.p384.name)
    case .es512: offersGroup(KeyKind.p521.name)
    case .es256K: offersGroup(KeyKind.secp256k1.name)
    case .edDSA: offersSignature("ED25519") || offersSignature("ED448")
    case .ed25519: offersSignature("ED25519")
    case .ed448: offersSignature("ED448")
    case .hs256, .hs384, .hs512: offersMAC("HMAC")
    case .mlDSA44, .mlDSA65, .mlDSA87: offersSignature(algorithm.name)
    }
  }

  private static func offersSignature(_ name: StaticString) -> Bool {
    guard let signature = unsafe EVP_SIGNATURE_fetch(nil, CString.of(name), nil) else { return false }
    unsafe EVP_SIGNATURE_free(signature)
    return true
  }

  private static func offersMAC(_ name: StaticString) -> Bool {
    guard let mac = unsafe EVP_MAC_fetch(nil, CString.of(name), nil) else { return false }
    unsafe EVP_MAC_free(mac)
    return true
  }

  /// Distributions leave out curves, secp256k1 above all.
  private static func offersGroup(_ name: StaticString) -> Bool {
    guard offersSignature("ECDSA"),
      let context = unsafe EVP_PKEY_CTX_new_from_name(nil, CString.of("EC"), nil)
    else { return false }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    return unsafe EVP_PKEY_paramgen_init(context) == 1
      && EVP_PKEY_CTX_set_group_name(context, CString.of(name)) == 1
  }
}

extension AlgorithmSet {
  /// What the libcrypto at hand can verify; for want of memory perhaps less.
  static var supported: AlgorithmSet {
    let errors = ErrorQueue.mark()
    defer { errors.restore() }
    return offered
  }

  /// What the libcrypto at hand can verify, and nothing less.
  static func askSupported() throws(Status) -> AlgorithmSet {
    let errors = ErrorQueue.mark()
    defer { errors.restore() }
    let supported = offered
    guard supported == known || !errors.tellNoMemory() else { throw .noMemory }
    return supported
  }

  private static var offered: AlgorithmSet {
    var offered = AlgorithmSet.none
    var rest = AlgorithmSet.known.members
    while let algorithm = rest.next() {
      guard Libcrypto.offers(algorithm) else { continue }
      offered.insert(algorithm)
    }
    return offered
  }
}

/// libcrypto's error queue of this thread, which is the host's: what our calls leave in it is taken out again.
/// So is errno.
struct ErrorQueue {
  private let hasHostErrors: Bool
  private let hostErrno: Int32

  static func mark() -> ErrorQueue {
    // There is nothing to mark in an empty queue.
    let queue = ErrorQueue(hasHostErrors: ERR_set_mark() == 1, hostErrno: copenssl_errno())
    copenssl_set_errno(0)
    return queue
  }

  func restore() {
    ERR_pop_to_mark()
    copenssl_set_errno(hostErrno)
  }

  /// Whether memory has run out since the mark. libcrypto does not say so in each case, so that errno is asked
  /// too. Its errors can only be read from the oldest on, or the newest alone: where the host has left some,
  /// only the newest is looked at.
  func tellNoMemory() -> Bool {
    guard copenssl_errno() != ENOMEM else { return true }
    guard !hasHostErrors else { return copenssl_is_out_of_memory(ERR_peek_last_error()) == 1 }
    // What is read stays behind, unseen, unless it is cleared; and all of it is ours.
    defer { ERR_clear_error() }
    var error = ERR_get_error()
    while error != 0 {
      if copenssl_is_out_of_memory(error) == 1 { return true }
      error = ERR_get_error()
    }
    return false
  }
}
