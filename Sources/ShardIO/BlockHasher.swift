import CKernels

/// The XXH3 hash, 128 bits, of bytes that come in pieces.
///
/// One owner: ``begin()``, any number of ``add(_:)``, ``end()``, and again from the start.
package struct BlockHasher: ~Copyable {
  private let state = UnsafeMutableRawPointer.allocate(byteCount: frog_hash_state_bytes(), alignment: 64)

  /// A hasher on which ``begin()`` has to be called before the first ``add(_:)``.
  package init() {}

  deinit {
    state.deallocate()
  }

  /// Forgets what was added.
  package func begin() { frog_hash_begin(state) }

  /// Adds bytes, which do not stay borrowed.
  package func add(_ bytes: UnsafeRawBufferPointer) { frog_hash_add(state, bytes.baseAddress, bytes.count) }

  /// The hash of all that was added.
  package func end() -> frog_hash128 { frog_hash_end(state) }
}
