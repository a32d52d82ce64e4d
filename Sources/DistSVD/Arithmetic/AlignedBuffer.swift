#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Memory for `count` scalars that starts on a cache line, freed with the last reference.
///
/// The alignment is what makes results repeatable to the last bit: vector kernels may treat the elements before the
/// first aligned address apart, and so add in an order that depends on where malloc put an array.
public final class AlignedBuffer<Scalar: BitwiseCopyable> {
  private let storage: UnsafeMutableBufferPointer<Scalar>

  /// Room for `count` scalars, all bytes zero.
  ///
  /// - Throws: ``SolverError/outOfMemory(bytes:)``.
  public init(count: Int) throws(SolverError) {
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

  /// How many scalars it holds.
  public var count: Int { storage.count }

  /// The scalars; valid while the buffer lives. Bind the buffer to a name that outlives the use of the pointer: a temporary one is freed
  /// as soon as it has given its pointer away.
  public var elements: UnsafeMutableBufferPointer<Scalar> { storage }

  /// The first `count` scalars.
  public func prefix(_ count: Int) -> UnsafeMutableBufferPointer<Scalar> {
    UnsafeMutableBufferPointer(rebasing: storage[..<count])
  }

  /// The address of the first scalar, for C.
  var start: UnsafeMutablePointer<Scalar> {
    guard let address = storage.baseAddress else { preconditionFailure("an allocated buffer has an address") }
    return address
  }
}
