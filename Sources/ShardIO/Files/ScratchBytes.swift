/// Memory that a source may copy into, kept from one read to the next.
///
/// One owner, so it needs no lock: a thread that decodes has its own.
public struct ScratchBytes: ~Copyable {
  private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  /// Holds nothing until a source asks for room.
  public init() {}

  deinit {
    buffer.deallocate()
  }

  /// The first `count` bytes, at a 64-byte boundary; contents undefined. Valid until the next call.
  mutating func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if buffer.count < count {
      buffer.deallocate()
      buffer = .allocate(byteCount: count, alignment: 64)
    }
    return UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
  }
}

// The memory belongs to this value alone, and moving it to another thread moves the only pointer.
extension ScratchBytes: @unchecked Sendable {}
