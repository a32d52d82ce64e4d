import Glibc

/// A limit that the system sets to the memory of this process, as `ulimit` shows it.
package enum ResourceLimit: Sendable, CaseIterable {
  /// All addresses in use: memory, whether it has been touched or not, libraries, and files that are mapped.
  case addresses
  /// Memory that only this process writes to, whether it has been touched or not.
  case data
  /// The stack of the main thread, and by default that of each other one.
  case stack

  /// The limit in bytes; nil if there is none.
  ///
  /// C function: getrlimit(2).
  package var bytes: Int? {
    var limit = rlimit()
    let resource =
      switch self {
      case .addresses: RLIMIT_AS
      case .data: RLIMIT_DATA
      case .stack: RLIMIT_STACK
      }
    guard getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else { return nil }
    // Infinity is the largest number that there is.
    return Int(exactly: limit.rlim_cur)
  }

  /// The option of `ulimit` that sets the limit.
  package var option: String {
    switch self {
    case .addresses: "ulimit -v"
    case .data: "ulimit -d"
    case .stack: "ulimit -s"
    }
  }
}
