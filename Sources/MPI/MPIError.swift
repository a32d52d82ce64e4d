import CMPI

/// The failure of a call of the MPI library.
///
/// It is not expected in a healthy run. Nobody recovers from it, so it travels to ``run(_:)``, which aborts all ranks.
package struct MPIError: Error, Sendable, CustomStringConvertible {
  /// The name of the C function.
  package let call: String
  /// The return code, whose meaning depends on the library.
  package let code: Int32
  /// The rank that saw the failure, in the communicator of all ranks.
  package let rank: Int

  /// The call, the rank, and the library's own words for the code.
  package var description: String {
    let text = cString(capacity: Int(cmpi_error_capacity)) { cmpi_error_text(code, $0) }
    return "\(call) failed on rank \(rank): \(text ?? "unknown error") (code \(code))"
  }
}

/// Reads a C string that `fill` writes into a buffer of `capacity` bytes; nil if `fill` reports an error.
func cString(capacity: Int, _ fill: (UnsafeMutablePointer<CChar>) -> Int32) -> String? {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
    buffer.initialize(repeating: 0)
    guard let start = buffer.baseAddress, fill(start) == 0 else { return nil }
    return String(cString: start)
  }
}
