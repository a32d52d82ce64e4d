import SystemPackage

/// A file that is written at offsets under a temporary name, and appears under its own name by rename.
///
/// 1. One rank creates the file and reserves its space: ``init(creating:size:)``.
/// 2. The other ranks open it: ``init(openingForUpdate:)``.
/// 3. Each rank writes its own ranges and synchronizes: ``write(_:at:)``, ``synchronize()``.
/// 4. When all have done so, one rank renames the file and synchronizes the folder: ``rename(_:to:)``,
///    ``synchronizeDirectory(_:)``.
///
/// A reader therefore sees the whole file or none, even after a power cut.
package struct DurableFile: ~Copyable, Sendable {
  private let path: FilePath
  private let descriptor: FileDescriptor

  /// Creates a file of `size` bytes and reserves the space, so that a full disk is found now and not by a later write.
  ///
  /// Where the file system cannot reserve space, as NFS before 4.2, the file only gets its size.
  ///
  /// - Throws: ``WriteError``, with `fileExists` if the name is taken. After an error no file is left.
  package init(creating path: FilePath, size: Int) throws(WriteError) {
    let descriptor: FileDescriptor
    do {
      descriptor = try FileDescriptor.open(
        path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
        permissions: [.ownerReadWrite, .groupRead, .otherRead])
    } catch {
      throw WriteError(path: path, operation: .create, errno: error as? Errno ?? .ioError)
    }
    do {
      try Self.reserve(size, for: descriptor)
    } catch {
      try? descriptor.close()
      try? SystemCalls.remove(path)
      throw WriteError(path: path, operation: .reserve, errno: error)
    }
    self.path = path
    self.descriptor = descriptor
  }

  /// Opens a file that another rank has created.
  package init(openingForUpdate path: FilePath) throws(WriteError) {
    do {
      descriptor = try FileDescriptor.open(path, .readWrite, options: .closeOnExec)
    } catch {
      throw WriteError(path: path, operation: .open, errno: error as? Errno ?? .ioError)
    }
    self.path = path
  }

  deinit {
    try? descriptor.close()
  }

  /// Writes all of `bytes` at `offset`, in as many calls as that takes.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(WriteError) {
    try descriptor.writeAll(bytes, at: offset, path: path)
  }

  /// Waits until the data is on the disk. Every rank that has written calls it.
  ///
  /// C function: fsync(2).
  package func synchronize() throws(WriteError) {
    do {
      try SystemCalls.synchronize(descriptor)
    } catch {
      throw WriteError(path: path, operation: .synchronize, errno: error)
    }
  }

  /// Gives a finished file its name. A file that has the name already is replaced.
  package static func rename(_ from: FilePath, to: FilePath) throws(WriteError) {
    do {
      try SystemCalls.rename(from, to: to)
    } catch {
      throw WriteError(path: to, operation: .rename, errno: error)
    }
  }

  /// Waits until names that were created or changed in a folder are on the disk.
  package static func synchronizeDirectory(_ path: FilePath) throws(WriteError) {
    do {
      let folder = try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
      try folder.closeAfter { try SystemCalls.synchronize(folder) }
    } catch {
      throw WriteError(path: path, operation: .synchronize, errno: error as? Errno ?? .ioError)
    }
  }

  /// Writes a small file whole: under a temporary name beside `path`, synchronized, renamed, and the folder
  /// synchronized.
  ///
  /// After an error the temporary file is gone, and a file that had the name is untouched.
  package static func writeWhole(_ bytes: [UInt8], to path: FilePath) throws(WriteError) {
    let folder = path.removingLastComponent()
    let suffix = String(UInt64.random(in: .min ... .max), radix: 16)
    let temporary = folder.appending(".\(path.lastComponent?.string ?? "file").\(suffix).tmp")
    let file = try DurableFile(creating: temporary, size: bytes.count)
    do {
      try file.writeAndSynchronize(bytes)
      try rename(temporary, to: path)
    } catch {
      try? SystemCalls.remove(temporary)
      throw error
    }
    try synchronizeDirectory(folder.isEmpty ? "." : folder)
  }

  private func writeAndSynchronize(_ bytes: [UInt8]) throws(WriteError) {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(WriteError) in try write(bytes, at: 0) }
    }
    try result.get()
    try synchronize()
  }

  /// Writes all elements at `offset`. The processors that the program runs on have the byte order of safetensors.
  package borrowing func write<Element: BitwiseCopyable>(elements: [Element], at offset: Int) throws(WriteError) {
    let result = elements.withUnsafeBytes { bytes in
      Result { () throws(WriteError) in try write(bytes, at: offset) }
    }
    try result.get()
  }

  private static func reserve(_ size: Int, for descriptor: FileDescriptor) throws(Errno) {
    if size == 0 { return }  // fallocate(2) refuses a size of 0.
    do {
      try SystemCalls.allocate(descriptor, size: size)
    } catch .notSupportedOnSocket, .noFunction {
      do {
        try descriptor.resize(to: Int64(size))
      } catch {
        throw error as? Errno ?? .ioError
      }
    }
  }
}

/// A durable file that several writers share.
package final class SharedFile {
  package let file: DurableFile

  package init(_ file: consuming DurableFile) { self.file = file }
}
