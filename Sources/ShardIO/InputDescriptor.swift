import SystemPackage

/// An open regular file: what the two kinds of source share.
struct InputDescriptor: ~Copyable, Sendable {
  let path: FilePath
  let size: Int
  let descriptor: FileDescriptor

  /// Opens for reading; symbolic links are followed, as the Hugging Face cache needs.
  init(path: FilePath) throws(SourceError) {
    let descriptor: FileDescriptor
    do {
      // A pipe without a writer would block open(2) for ever.
      descriptor = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .nonBlocking])
    } catch {
      throw .cannotOpen(path, error as? Errno ?? .ioError)
    }
    do {
      let stat = try descriptor.stat()
      guard stat.type == .regular else { throw SourceError.notAFile(path) }
      self.path = path
      self.size = Int(stat.size)
      self.descriptor = descriptor
    } catch {
      try? descriptor.close()
      throw error as? SourceError ?? .cannotOpen(path, error as? Errno ?? .ioError)
    }
  }

  deinit {
    try? descriptor.close()
  }

  /// Checks that the file still has the size it was opened with.
  func checkSize() throws(SourceError) {
    let now: Int
    do {
      now = Int(try descriptor.stat().size)
    } catch {
      throw .cannotRead(path, offset: 0, error)
    }
    if now != size { throw .sizeChanged(path, from: size, to: now) }
  }
}
