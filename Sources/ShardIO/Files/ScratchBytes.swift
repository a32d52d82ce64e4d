/// Memory that a source may copy bytes into. It is kept from one read to the next.
///
/// It has one owner and so needs no lock: each thread that decodes has its own.
package struct ScratchBytes: ~Copyable {
  private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  /// Takes no memory before a source asks for room.
  package init() {}

  deinit {
    buffer.deallocate()
  }

  /// The first `count` bytes, aligned to 64. Their contents are undefined, and they are valid until the next call.
  mutating func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if buffer.count < count {
      buffer.deallocate()
      buffer = .allocate(byteCount: count, alignment: 64)
    }
    return UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
  }
}

// Sending to another thread is sound: the memory belongs to this value alone, and the only pointer to it moves along.
extension ScratchBytes: @unchecked Sendable {}
