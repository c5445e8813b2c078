// Revocations by name, in a tree of sixteen ways along their hashes: four steps lead through 65,536 of them.
//
// A tree never changes. What a change gives is another tree, which has its own branches from the root to the
// place of the change and shares all others. So a change costs, and retires, as little with many revocations
// as with few, and however many a stalled reader holds back, they are small.

/// What stands at a place in the tree.
enum RevocationTree {
  case empty
  case leaf(Revocation)
  case branch(RevocationBranch)

  func retain() {
    switch self {
    case .empty: break
    case .leaf(let revocation): revocation.retain()
    case .branch(let branch): branch.retain()
    }
  }

  @inline(never)
  func release() {
    switch self {
    case .empty: break
    case .leaf(let revocation): revocation.release()
    case .branch(let branch): branch.release()
    }
  }

  var isEmpty: Bool {
    if case .empty = self { true } else { false }
  }

  func find(_ name: RevocationName) -> Revocation? {
    var tree = self
    var level = 0
    while case .branch(let branch) = tree {
      tree = branch.child(at: branch.place(of: name, level))
      level &+= 1
    }
    guard case .leaf(let found) = tree, found.name == name else { return nil }
    return found
  }

  /// Whether a name of this hash stands here, and is not over.
  @_optimize(speed)
  func has(_ hash: UInt64, at now: Int64) -> Bool {
    var tree = self
    var bits: UInt64 = 0
    while case .branch(let branch) = tree {
      guard bits < 64 else { return true }
      tree = branch.child(at: Int(truncatingIfNeeded: hash &>> bits) & 15)
      bits &+= 4
    }
    guard case .leaf(let found) = tree else { return false }
    return found.name.hash == hash && !found.isOver(at: now)
  }

  func visit(_ body: (Revocation) -> Void) {
    switch self {
    case .empty: break
    case .leaf(let revocation): body(revocation)
    case .branch(let branch):
      for place in RevocationBranch.ways.times { branch.child(at: place).visit(body) }
    }
  }

  var count: Int {
    var count = 0
    visit { _ in count &+= 1 }
    return count
  }

  // MARK: - Other trees, held by the caller

  /// With this one, in place of one of the same name. A tree that nobody else has seen yet is itself changed, and
  /// held once more.
  func with(
    _ revocation: Revocation, isUnseen: Bool = false, _ level: Int = 0
  ) throws(Status) -> RevocationTree {
    switch self {
    case .empty: return RevocationTree.leaf(revocation).retained
    case .leaf(let old) where old.name == revocation.name: return RevocationTree.leaf(revocation).retained
    case .leaf(let old):
      let fork = try RevocationBranch.make()
      fork.set(retained, at: fork.place(of: old.name, level))
      return try fork.changed(at: revocation.name, level) { (child) throws(Status) in
        try child.with(revocation, level &+ 1)
      }
    case .branch(let branch):
      if isUnseen { retain() }
      return try (isUnseen ? branch : branch.copy()).changed(at: revocation.name, level) {
        (child) throws(Status) in try child.with(revocation, isUnseen: isUnseen, level &+ 1)
      }
    }
  }

  /// Without the one of this name. Not inlined into itself.
  @inline(never)
  func without(_ name: RevocationName, _ level: Int = 0) throws(Status) -> RevocationTree {
    switch self {
    case .empty: return .empty
    case .leaf(let old): return old.name == name ? .empty : retained
    case .branch(let branch):
      return try branch.copy().changed(at: name, level) { (child) throws(Status) in
        try child.without(name, level &+ 1)
      }
    }
  }

  /// Without those that are over.
  func current(at now: Int64) throws(Status) -> RevocationTree {
    switch self {
    case .empty: return .empty
    case .leaf(let revocation): return revocation.isOver(at: now) ? .empty : retained
    case .branch(let branch):
      return try branch.copy().changed { (child) throws(Status) in try child.current(at: now) }
    }
  }

  private var retained: RevocationTree {
    retain()
    return self
  }
}

/// Sixteen places. Its holders are the branches above it and `Revocations`.
@safe struct RevocationBranch {
  private struct Record: ~Copyable {
    let holders = Holders()
    let children: Items<RevocationTree>
  }

  private let record: UnsafeMutablePointer<Record>

  static var ways: Int { 16 }
  /// Where a hash is used up.
  private static var deepest: Int { 16 }

  /// One holder: the caller.
  static func make() throws(Status) -> RevocationBranch {
    let start = MemoryLayout<Record>.stride
    let memory = try unsafe Memory.allocate(start &+ ways &* MemoryLayout<RevocationTree>.stride)
    let room = unsafe (memory + start).assumingMemoryBound(to: RevocationTree.self)
    unsafe room.initialize(repeating: .empty, count: ways)
    let record = unsafe memory.assumingMemoryBound(to: Record.self)
    unsafe record.initialize(to: Record(children: Items(room, count: ways)))
    return unsafe RevocationBranch(record: record)
  }

  func retain() { unsafe record.pointee.holders.retain() }

  @inline(never)
  func release() {
    guard unsafe record.pointee.holders.release() else { return }
    for place in RevocationBranch.ways.times { child(at: place).release() }
    unsafe record.deinitialize(count: 1)
    unsafe Memory.release(record)
  }

  func child(at place: Int) -> RevocationTree { unsafe record.pointee.children.item(at: place) ?? .empty }

  /// Where a name stands, or would. Names that share a whole hash stand side by side below it.
  func place(of name: RevocationName, _ level: Int) -> Int {
    guard level >= RevocationBranch.deepest else {
      return Int(truncatingIfNeeded: name.hash &>> (UInt64(truncatingIfNeeded: level) &* 4)) & 15
    }
    var free = RevocationBranch.ways
    for place in RevocationBranch.ways.times {
      switch child(at: place) {
      case .leaf(let found) where found.name == name: return place
      case .empty: free = min(free, place)
      default: break
      }
    }
    return free
  }

  // MARK: - While it is being made

  /// Takes over a child that the caller holds, in place of one that is let go.
  func set(_ child: RevocationTree, at place: Int) {
    self.child(at: place).release()
    unsafe record.pointee.children.set(child, at: place)
  }

  func copy() throws(Status) -> RevocationBranch {
    let copy = try RevocationBranch.make()
    for place in RevocationBranch.ways.times {
      child(at: place).retain()
      copy.set(child(at: place), at: place)
    }
    return copy
  }

  /// This branch, which is the caller's alone, with another child where `name` stands. It goes if the change
  /// fails, or leaves nothing in it.
  func changed(
    at name: RevocationName, _ level: Int, _ change: (RevocationTree) throws(Status) -> RevocationTree
  ) throws(Status) -> RevocationTree {
    let place = place(of: name, level)
    // Seventeen names with one keyed hash: refused rather than lost.
    guard place < RevocationBranch.ways else {
      release()
      throw .full
    }
    try replace(at: place, change)
    return asTree
  }

  /// The same with each child.
  func changed(_ change: (RevocationTree) throws(Status) -> RevocationTree) throws(Status) -> RevocationTree {
    for place in RevocationBranch.ways.times { try replace(at: place, change) }
    return asTree
  }

  private func replace(
    at place: Int, _ change: (RevocationTree) throws(Status) -> RevocationTree
  ) throws(Status) {
    do throws(Status) { set(try change(child(at: place)), at: place) } catch {
      release()
      throw error
    }
  }

  private var asTree: RevocationTree {
    for place in RevocationBranch.ways.times where !child(at: place).isEmpty { return .branch(self) }
    release()
    return .empty
  }
}
