internal import CKeyturn

/// The directory in which processes leave for each other, and for those that come after them, what they know.
///
/// It is opened once, and its path not looked at again, so that a host may go where the path does not lead. What
/// stands in it is believed as far as only those could write it who are believed: the directory, and each file, is of
/// root, of this process's user or of one whom the host names. The handle is a descriptor; the cache owns it.
struct StoreDirectory {
  let descriptor: Int32
  private let owner: UInt32
  let boot: BootID

  /// Both texts are NUL-terminated; `user` is empty for none. Who only reads need not be able to write.
  static func open(_ path: Bytes, trusting user: Bytes, isReader: Bool) throws(Fault) -> StoreDirectory {
    let trusted = try user.isEmpty ? ckeyturn_effective_user() : number(of: user)
    guard let start = unsafe path.string else { throw refusal("It is empty.") }
    let descriptor = unsafe ckeyturn_store_open(start)
    guard descriptor >= 0 else { throw refusal("There is no such directory, or it cannot be opened.") }
    do throws(Fault) {
      let owner = try check(descriptor, trusted, isReader: isReader)
      if !isReader { ckeyturn_store_sweep(descriptor) }
      return StoreDirectory(descriptor: descriptor, owner: owner, boot: .current)
    } catch {
      ckeyturn_store_close(descriptor)
      throw error
    }
  }

  func close() { ckeyturn_store_close(descriptor) }

  /// The descriptor of a directory in it, of whom the store is believed; -1 where it cannot be had.
  func openWithin(_ name: StaticString, isMade: Bool) -> Int32 {
    let inner = unsafe ckeyturn_store_open_within(descriptor, CString.of(name), isMade ? 1 : 0)
    var directory = ckeyturn_file()
    guard unsafe ckeyturn_store_look(inner, &directory) == 0, directory.is_guarded == 1,
      directory.owner == 0 || directory.owner == owner
    else {
      ckeyturn_store_close(inner)
      return -1
    }
    if isMade { ckeyturn_store_sweep(inner) }
    return inner
  }

  func at(_ inner: Int32) -> StoreDirectory { StoreDirectory(descriptor: inner, owner: owner, boot: boot) }

  private static func check(_ descriptor: Int32, _ trusted: UInt32, isReader: Bool) throws(Fault) -> UInt32 {
    var directory = ckeyturn_file()
    guard unsafe ckeyturn_store_look(descriptor, &directory) == 0 else {
      throw refusal("It cannot be looked at.")
    }
    guard directory.owner == 0 || directory.owner == ckeyturn_effective_user() || directory.owner == trusted
    else {
      throw refusal("It belongs neither to root, nor to the effective user, nor to store_user.")
    }
    guard directory.is_guarded == 1 else { throw refusal("Its group, or everybody, may write in it.") }
    guard isReader || ckeyturn_store_may_write(descriptor) == 0 else {
      throw refusal("This process may not write in it.")
    }
    return directory.owner
  }

  private static func number(of user: Bytes) throws(Fault) -> UInt32 {
    var number: UInt32 = 0
    guard let name = unsafe user.string, unsafe ckeyturn_user(name, &number) == 0 else {
      throw Fault(.invalidOption, "There is no user of this name or number.", option: "store_user")
    }
    return number
  }

  private static func refusal(_ sentence: StaticString) -> Fault {
    Fault(.invalidOption, sentence, option: "store")
  }

  // MARK: - Files

  /// The whole file, if it is of this kind and its content no longer than that.
  func read(_ name: StoreName, _ kind: UInt64, atMost maximum: Int) throws(StoreFault) -> StoredFile {
    let file = try unsafe name.read { name throws(StoreFault) in try unsafe open(name) }
    defer { ckeyturn_store_close(file) }
    let stored = try StoredFile(size: size(of: file, atMost: maximum &+ StoredFile.overhead))
    let room = stored.room
    guard let start = unsafe room.pointer else { throw .damaged }
    let count = unsafe ckeyturn_store_read(file, start, room.count)
    guard count >= 0 else { throw .ofSystem }
    guard count == room.count else { throw .damaged }
    try stored.check(kind)
    return stored
  }

  /// Puts a sealed file in the place of what has the name; for good where it is to survive a crash of the machine.
  func write(
    _ name: StoreName, _ file: borrowing StoredFile, isForGood: Bool = true
  ) throws(StoreFault) {
    let octets = file.octets
    let isWritten = unsafe name.read { name in
      unsafe ckeyturn_store_write(descriptor, name, octets.pointer, octets.count, isForGood ? 1 : 0) == 0
    }
    guard isWritten else { throw .ofSystem }
  }

  /// What there is under the name; nil for nothing.
  func look(_ name: StoreName) -> FileMark? {
    var file = ckeyturn_file()
    let isThere = unsafe name.read { name in unsafe ckeyturn_store_look_at(descriptor, name, &file) == 0 }
    return isThere ? FileMark(file) : nil
  }

  /// The same, where nothing has a mark, too; nil if it cannot be told.
  func mark(of name: StoreName) -> FileMark? {
    look(name) ?? (StoreFault.ofSystem == .absent ? .absent : nil)
  }

  /// When a name last came or went; nil if the directory itself has gone.
  var modified: Int64? {
    var file = ckeyturn_file()
    guard unsafe ckeyturn_store_look(descriptor, &file) == 0, file.links > 0 else { return nil }
    return file.modified
  }

  /// The file that processes lock, made where there is none; nil where it cannot be had.
  func openLock(_ name: StoreName) -> Int32? {
    checked(unsafe name.read { name in unsafe ckeyturn_store_open_lock(descriptor, name, 0o644) })
  }

  /// The same for who only looks: closing it tells nobody of a change.
  func lookIntoLock(_ name: StoreName) -> Int32? {
    checked(unsafe name.read { name in unsafe ckeyturn_store_open_file(descriptor, name) })
  }

  private func checked(_ file: Int32) -> Int32? {
    guard file >= 0 else { return nil }
    do throws(StoreFault) { _ = try size(of: file, atMost: 4_096, atLeast: 0) } catch {
      ckeyturn_store_close(file)
      return nil
    }
    return file
  }

  private func open(_ name: UnsafePointer<CChar>) throws(StoreFault) -> Int32 {
    let file = unsafe ckeyturn_store_open_file(descriptor, name)
    guard file >= 0 else { throw .ofSystem }
    return file
  }

  private func size(of file: Int32, atMost maximum: Int, atLeast minimum: Int = 1) throws(StoreFault) -> Int {
    var facts = ckeyturn_file()
    guard unsafe ckeyturn_store_look(file, &facts) == 0 else { throw .ofSystem }
    let isOurs = facts.owner == 0 || facts.owner == owner
    guard facts.is_regular == 1 else { throw .irregular }
    guard isOurs, facts.is_guarded == 1 else { throw .foreign }
    guard facts.size >= minimum else { throw .damaged }
    guard facts.size <= maximum else { throw .tooLarge }
    return Int(facts.size)
  }
}
