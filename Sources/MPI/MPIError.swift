import CMPI

/// A call of the MPI library that failed.
///
/// Never expected in a healthy run: nobody recovers from one, so it travels to ``run(_:)``, which aborts all ranks.
public struct MPIError: Error, Sendable, CustomStringConvertible {
  /// The C function.
  public let call: String
  /// What it returned; implementation defined.
  public let code: Int32
  /// The rank, in the world, that saw the failure.
  public let rank: Int

  /// The library's own words for the code, behind call and rank.
  public var description: String {
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
