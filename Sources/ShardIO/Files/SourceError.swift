import SystemPackage

/// The kind of fault of an input, which decides the exit status.
package enum InputFailure: Sendable, Equatable {
  /// The contents break a rule.
  case data
  /// The input is missing or may not be read.
  case noInput
  /// The operating system failed to read the input.
  case io
}

/// A file that cannot be opened or read.
package enum SourceError: Error, Equatable, Sendable, CustomStringConvertible {
  /// open(2) or fstat(2) failed.
  case cannotOpen(FilePath, Errno)
  /// A link on the way to the file leads nowhere.
  case brokenLink(FilePath, link: FilePath, target: FilePath)
  /// The name of the file is not UTF-8.
  case notUTF8(FilePath)
  /// The path leads to a directory, device, pipe or socket.
  case notAFile(FilePath)
  /// mmap(2) failed.
  case cannotMap(FilePath, Errno)
  /// Reading failed at this offset.
  case cannotRead(FilePath, offset: Int, Errno)
  /// The file's size is no longer what it was when it was opened.
  case sizeChanged(FilePath, from: Int, to: Int)
  /// The file has been written to since it was opened; its size is the same.
  case rewritten(FilePath)

  /// The error for a file that could not be opened or looked at, with the cause behind "no such file".
  static func opening(_ path: FilePath, _ errno: Errno) -> SourceError {
    guard errno == .noSuchFileOrDirectory else { return .cannotOpen(path, errno) }
    if let broken = BrokenLink.find(on: path) { return .brokenLink(path, link: broken.link, target: broken.target) }
    // Listing a folder puts this character for bytes that are no UTF-8, and then no file has the name.
    let isRepaired = path.lastComponent?.string.unicodeScalars.contains("\u{fffd}") == true
    return isRepaired ? .notUTF8(path) : .cannotOpen(path, errno)
  }

  /// The kind of fault.
  package var kind: InputFailure {
    switch self {
    case .cannotOpen(_, let errno): errno.isAboutThePath ? .noInput : .io
    case .notAFile, .brokenLink, .notUTF8: .noInput
    case .cannotMap, .cannotRead, .sizeChanged, .rewritten: .io
    }
  }

  /// The error in words, on one line without a full stop.
  package var description: String {
    switch self {
    case .cannotOpen(let path, let errno):
      "cannot open \(shown(path)): \(errno)"
    case .brokenLink(let path, let link, let target):
      "cannot open \(shown(path)): \(link == path ? "it" : shown(link)) is a link to \(shown(target)), "
        + "which does not exist; download what is missing again"
    case .notUTF8(let path):
      "cannot open \(shown(path)): its name is not UTF-8; rename the file"
    case .notAFile(let path):
      "cannot read \(shown(path)): it is not a regular file"
    case .cannotMap(let path, let errno):
      "cannot map \(shown(path)): \(errno) (try --io pread)"
    case .cannotRead(let path, let offset, let errno):
      "cannot read \(shown(path)) at byte \(offset): \(errno)"
    case .sizeChanged(let path, let from, let to):
      "\(shown(path)) changed from \(from) to \(to) bytes while it was being read; "
        + "leave the checkpoint alone during a run"
    case .rewritten(let path):
      "\(shown(path)) was written to while it was being read; leave the checkpoint alone during a run"
    }
  }
}

extension Errno {
  /// Whether the cause is the path that was given, not the machine.
  var isAboutThePath: Bool {
    switch self {
    case .noSuchFileOrDirectory, .permissionDenied, .notPermitted, .notDirectory, .isDirectory,
      .tooManySymbolicLinkLevels, .fileNameTooLong, .invalidArgument, .noSuchAddressOrDevice:
      true
    default: false
    }
  }
}
