internal import CKeyturn

/// By which a file is known to be the one that was read. Files are replaced, never changed.
struct FileStamp: Equatable {
  fileprivate let inode: UInt64
  fileprivate let modified: Int64
  fileprivate let size: Int64

  static var absent: FileStamp { FileStamp(inode: 0, modified: 0, size: 0) }

  var isEmpty: Bool { size <= 0 }

  /// The file is so young that another could yet be given the same stamp: file systems count time in ticks.
  var isFresh: Bool { modified / 1_000_000_000 >= ckeyturn_unix_time() &- 1 }
}

extension StoreDirectory {
  /// What stands under the name now; nil if it cannot be told.
  func stamp(of name: StoreName) -> FileStamp? {
    var file = ckeyturn_file()
    let isThere = unsafe name.read { name in
      unsafe ckeyturn_store_look_at(descriptor, name, &file) == 0
    }
    guard !isThere else {
      return FileStamp(inode: file.inode, modified: file.modified, size: file.size)
    }
    return ckeyturn_is_absent() == 1 ? .absent : nil
  }
}
