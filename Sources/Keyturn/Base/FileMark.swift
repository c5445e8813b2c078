internal import CKeyturn

/// By which a file is told from the one that was there before.
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
}
