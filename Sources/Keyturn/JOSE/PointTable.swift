// ECDSA with tables. A verification asks for the point u1·G + u2·Q, of the curve's generator G and the key Q. libcrypto
// looks multiples of a generator up in tables, so that a copy of the curve whose generator is Q makes the second product
// as cheap as the first: a verification with P-256 takes half the time, for 160 KiB and 16 ms once.
//
// It is done with libcrypto's public interface, and here alone. Where that does not come to a verdict, EVP_PKEY_verify
// does; and a table that gives other points than libcrypto without it, or none sooner, is not kept.
internal import CKeyturn
internal import COpenSSL
internal import Synchronization

@safe struct PointTable {
  @safe private struct Record {
    /// Whose generator is the curve's own, and whose is the key.
    var curve: OpaquePointer?
    var keyed: OpaquePointer?
    /// A product of `zero` and the generator is added where libcrypto would else come to the one product in a
    /// slower way, which is meant for secrets.
    var zero: OpaquePointer?
  }

  private let record: UnsafeMutablePointer<Record>

  @unsafe init(_ memory: UnsafeMutableRawPointer) {
    unsafe record = memory.assumingMemoryBound(to: Record.self)
  }

  @unsafe var memory: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(record) }

  // MARK: - How many there are

  private static let reserved = Atomic<Int>(0)
  private static var most: Int { 64 }

  /// Room for one more in this process, to be given back with it. False if there is none.
  static func reserve() -> Bool {
    if reserved.wrappingAdd(1, ordering: .relaxed).newValue <= most { return true }
    giveBack()
    return false
  }

  static func giveBack() { reserved.wrappingSubtract(1, ordering: .relaxed) }

  // MARK: - Making

  /// For kinds that can have one: their hashes are not longer than the order of their curve.
  static func curve(_ kind: KeyKind) -> Int32? {
    switch kind {
    case .p256: NID_X9_62_prime256v1
    case .p384: NID_secp384r1
    case .p521: NID_secp521r1
    default: nil
    }
  }

  /// nil where libcrypto cannot, or there is nothing to gain. Takes some milliseconds, and no lock of libcrypto's that
  /// the child of a fork would miss.
  @inline(never)
  static func make(_ kind: KeyKind, _ key: OpaquePointer?) -> PointTable? {
    guard let number = curve(kind) else { return nil }
    let errors = ErrorQueue.mark()
    defer { errors.restore() }
    do throws(Status) {
      let made = try unsafe PointTable(Memory.allocate(MemoryLayout<Record>.size))
      unsafe made.record.pointee.curve = unsafe EC_GROUP_new_by_curve_name(number)
      unsafe made.record.pointee.keyed = unsafe EC_GROUP_new_by_curve_name(number)
      if unsafe made.curve != nil, unsafe made.keyed != nil, unsafe made.fill(key) { return made }
      made.destroy()
    } catch {}
    return nil
  }

  func destroy() {
    if Libcrypto.isAlive {
      unsafe BN_free(record.pointee.zero)
      unsafe EC_GROUP_free(record.pointee.keyed)
      unsafe EC_GROUP_free(record.pointee.curve)
    }
    unsafe Memory.release(record)
  }

  private var curve: OpaquePointer? { unsafe record.pointee.curve }
  private var keyed: OpaquePointer? { unsafe record.pointee.keyed }
  private var order: OpaquePointer? { unsafe EC_GROUP_get0_order(curve) }

  private func fill(_ key: OpaquePointer?) -> Bool {
    var memory = InlineArray<144, UInt8>(repeating: 0)
    return memory.withRoom { octets in
      var length = 0
      guard
        unsafe EVP_PKEY_get_octet_string_param(
          key, CString.of("pub"), octets.pointer, octets.count, &length) == 1
      else { return false }
      // As good numbers to try it with as any others, and drawn without a lock: x and y.
      let work = unsafe Work(curve, octets.bytes(length).slice(from: 1), .empty)
      return unsafe work.isWhole
        && EC_POINT_oct2point(curve, work.left, octets.pointer, length, work.numbers) == 1
        && EC_GROUP_set_generator(keyed, work.left, order, nil) == 1
        && copenssl_precompute(curve, work.numbers) == 1 && copenssl_precompute(keyed, work.numbers) == 1
        && gains(work)
    }
  }

  /// Tries both ways to ask for a product, that with `zero` first: where it gains, the other one draws random numbers,
  /// and so may hold a lock when the process forks.
  private func gains(_ work: borrowing Work) -> Bool {
    unsafe record.pointee.zero = unsafe BN_new()
    if isSooner(work) { return true }
    unsafe BN_free(record.pointee.zero)
    unsafe record.pointee.zero = nil
    return isSooner(work)
  }

  /// Whether it comes to the point to which EVP_PKEY_verify would come, and sooner: by turns, so that what else the
  /// machine does hits both, and again while it does not look sooner, since a busy machine can hit one alone for a
  /// while. In time of this thread's.
  private func isSooner(_ work: borrowing Work) -> Bool {
    guard let expected = unsafe EC_POINT_new(curve) else { return false }
    defer { unsafe EC_POINT_free(expected) }
    var (atOnce, apart) = (Int64.max, Int64.max)
    for round in 50.times {
      let start = ckeyturn_thread_time()
      guard
        unsafe EC_POINT_mul(
          curve, expected, work.r, EC_GROUP_get0_generator(keyed), work.s, work.numbers) == 1
      else { return false }
      let middle = ckeyturn_thread_time()
      guard unsafe sum(work, work.r, work.s) else { return false }
      atOnce = min(atOnce, middle &- start)
      apart = min(apart, ckeyturn_thread_time() &- middle)
      if round > 3, apart < atOnce { break }
    }
    return unsafe apart < atOnce && EC_POINT_cmp(curve, work.left, expected, work.numbers) == 0
  }

  // MARK: - Verifying

  /// By r and s, of equal length (SEC 1 section 4.1.4). nil where libcrypto has not come to a verdict.
  @inline(never)
  func isGenuine(_ pair: Bytes, _ digest: Bytes) -> Bool? {
    let work = unsafe Work(curve, pair, digest)
    guard work.isWhole, let order = unsafe order else { return nil }
    let (r, s, u1, u2, numbers) = unsafe (work.r, work.s, work.u1, work.u2, work.numbers)
    guard unsafe isInRange(r), unsafe isInRange(s) else { return false }
    guard unsafe BN_mod_inverse(s, s, order, numbers) != nil,
      unsafe BN_mod_mul(u1, u1, s, order, numbers) == 1, unsafe BN_mod_mul(u2, r, s, order, numbers) == 1,
      unsafe sum(work, u1, u2)
    else { return nil }
    if isProduct(work) { return true }
    guard unsafe EC_POINT_get_affine_coordinates(curve, work.left, u1, nil, numbers) == 1,
      unsafe BN_nnmod(u1, u1, order, numbers) == 1
    else { return nil }
    return unsafe BN_cmp(u1, r) == 0
  }

  /// Whether the point's x is r for certain: r·z² = x spares a division, which takes as long as a tenth of the rest. That
  /// an x is r and the order besides, or another number, is left to the division.
  private func isProduct(_ work: borrowing Work) -> Bool {
    let (x, z, numbers, field) = unsafe (work.u1, work.u2, work.numbers, EC_GROUP_get0_field(curve))
    return unsafe copenssl_undivided(curve, work.left, x, z, numbers) == 1 && BN_is_zero(z) == 0
      && BN_mod_sqr(z, z, field, numbers) == 1 && BN_mod_mul(z, z, work.r, field, numbers) == 1
      && BN_cmp(z, x) == 0
  }

  /// From 1 up to n - 1.
  private func isInRange(_ number: OpaquePointer?) -> Bool {
    unsafe BN_is_zero(number) == 0 && BN_cmp(number, order) < 0
  }

  private func sum(_ work: borrowing Work, _ u1: OpaquePointer?, _ u2: OpaquePointer?) -> Bool {
    unsafe multiply(curve, u1, into: work.left, work) && multiply(keyed, u2, into: work.right, work)
      && EC_POINT_add(curve, work.left, work.left, work.right, work.numbers) == 1
  }

  private func multiply(
    _ group: OpaquePointer?, _ number: OpaquePointer?, into point: OpaquePointer?, _ work: borrowing Work
  ) -> Bool {
    let zero = unsafe record.pointee.zero
    let other = unsafe zero == nil ? nil : EC_GROUP_get0_generator(group)
    return unsafe EC_POINT_mul(group, point, number, other, zero, work.numbers) == 1
  }
}

/// What one verification calculates in: made for it, as libcrypto does itself.
@safe private struct Work: ~Copyable {
  let numbers: OpaquePointer?
  let left: OpaquePointer?
  let right: OpaquePointer?
  let r: OpaquePointer?
  let s: OpaquePointer?
  /// At first the hash.
  let u1: OpaquePointer?
  let u2: OpaquePointer?

  init(_ curve: OpaquePointer?, _ pair: Bytes, _ digest: Bytes) {
    unsafe numbers = unsafe BN_CTX_new()
    unsafe (left, right) = unsafe (EC_POINT_new(curve), EC_POINT_new(curve))
    unsafe r = unsafe Work.number(pair.slice(from: 0, length: pair.count / 2))
    unsafe s = unsafe Work.number(pair.slice(from: pair.count / 2))
    unsafe u1 = unsafe Work.number(digest)
    unsafe u2 = unsafe BN_new()
  }

  deinit { free() }

  @inline(never)
  private func free() {
    unsafe BN_free(u2)
    unsafe BN_free(u1)
    unsafe BN_free(s)
    unsafe BN_free(r)
    unsafe EC_POINT_free(right)
    unsafe EC_POINT_free(left)
    unsafe BN_CTX_free(numbers)
  }

  @inline(never)
  var isWhole: Bool {
    unsafe numbers != nil && left != nil && right != nil && r != nil && s != nil && u1 != nil && u2 != nil
  }

  @inline(never)
  private static func number(_ octets: Bytes) -> OpaquePointer? {
    unsafe BN_bin2bn(octets.pointer, Int32(truncatingIfNeeded: octets.count), nil)
  }
}
