import CKernels

/// XXH3, 128 bits, of bytes that come in pieces.
struct BlockHasher: ~Copyable {
  private let state = UnsafeMutableRawPointer.allocate(byteCount: frog_hash_state_bytes(), alignment: 64)

  deinit {
    state.deallocate()
  }

  /// Starts anew; call it before the first ``add(_:)``.
  func begin() { frog_hash_begin(state) }

  /// Adds bytes, which do not stay borrowed.
  func add(_ bytes: UnsafeRawBufferPointer) { frog_hash_add(state, bytes.baseAddress, bytes.count) }

  /// The hash of all that was added.
  func end() -> frog_hash128 { frog_hash_end(state) }
}
