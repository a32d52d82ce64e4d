import DistSVD
import RunCore
import ShardIO
import SystemPackage

/// Measures how fast this machine reads files.
enum ReadRate {
  /// The size of the file that is made and read, in bytes.
  static let size = 256 << 20
  /// The bytes that one call reads or writes.
  static let piece = 4 << 20

  /// The bytes per second that are read from a new file in `folder`.
  ///
  /// The file is dropped from memory first, as far as the system does that.
  static func measure(in folder: FilePath) throws -> Double {
    do {
      try Folder.create(folder)
      let file = try AnonymousFile(in: folder)
      let bytes = try AlignedBuffer<UInt8>(count: piece)
      let buffer = UnsafeMutableRawBufferPointer(bytes.elements)
      for offset in stride(from: 0, to: size, by: piece) { try file.write(UnsafeRawBufferPointer(buffer), at: offset) }
      try file.dropFromMemory()
      let start = ContinuousClock.now
      for offset in stride(from: 0, to: size, by: piece) { try file.read(into: buffer, at: offset) }
      return withExtendedLifetime(bytes) { Double(size) / (ContinuousClock.now - start).seconds }
    } catch {
      throw RunFailure(error)
    }
  }
}
