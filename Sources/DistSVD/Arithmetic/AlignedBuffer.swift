#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Memory for `count` scalars that starts on a cache line and is freed with the last reference.
///
/// The alignment makes results repeatable to the last bit. Vector kernels may handle the elements before the first
/// aligned address on their own, and so add in an order that depends on where malloc has put an array.
///
/// The pointers that a buffer gives away are valid while the buffer lives. A temporary buffer is freed as soon as it
/// has given its pointer away, so bind it to a name and keep that name alive:
///
///     let buffer = try AlignedBuffer<Float>(count: 16)
///     withExtendedLifetime(buffer) { use(buffer.elements) }
package final class AlignedBuffer<Scalar: BitwiseCopyable> {
  private let storage: UnsafeMutableBufferPointer<Scalar>

  /// Allocates `count` scalars, all bytes zero.
  ///
  /// - Throws: ``SolverError/outOfMemory(bytes:)``.
  package init(count: Int) throws(SolverError) {
    let (bytes, overflow) = max(count, 1).multipliedReportingOverflow(by: MemoryLayout<Scalar>.stride)
    var pointer: UnsafeMutableRawPointer?
    guard !overflow, posix_memalign(&pointer, 64, bytes) == 0, let pointer else {
      throw .outOfMemory(bytes: overflow ? .max : bytes)
    }
    memset(pointer, 0, bytes)
    storage = UnsafeMutableBufferPointer(
      start: pointer.bindMemory(to: Scalar.self, capacity: max(count, 1)), count: count)
  }

  deinit { free(storage.baseAddress) }

  /// The number of scalars.
  package var count: Int { storage.count }

  /// The scalars, valid while the buffer lives.
  package var elements: UnsafeMutableBufferPointer<Scalar> { storage }

  /// The first `count` scalars, valid while the buffer lives.
  package func prefix(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> {
    UnsafeMutableBufferPointer(rebasing: storage[..<count])
  }

  /// The address of the first scalar, for calls of C.
  var start: UnsafeMutablePointer<Scalar> {
    guard let address = storage.baseAddress else { preconditionFailure("an allocated buffer has an address") }
    return address
  }
}
