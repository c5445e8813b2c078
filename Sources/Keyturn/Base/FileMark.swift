internal import CKeyturn

/// By which a file is told from the one that was there before: files are replaced, never changed.
struct FileMark: BitwiseCopyable, Equatable {
  private let device: UInt64
  private let inode: UInt64
  private let size: Int64
  private let modified: Int64
  private let changed: Int64

  init(_ file: ckeyturn_file) {
    device = file.device
    inode = file.inode
    size = file.size
    modified = file.modified
    changed = file.changed
  }

  static var absent: FileMark { FileMark(ckeyturn_file()) }

  var isEmpty: Bool { size <= 0 }

  /// The file is so young that another could yet be given the same mark: file systems count time in ticks.
  var isFresh: Bool { modified / 1_000_000_000 >= ckeyturn_unix_time() &- 1 }
}
