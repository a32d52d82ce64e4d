import DistSVD
import Testing

/// One thread for BLAS, set once for all tests of this process.
///
/// Suites run side by side, and how many threads OpenBLAS gives to each of several threads that call it at once is a matter of luck. The
/// program calls it from one.
struct OneThread: SuiteTrait {
  private static let isSet: Void = LocalBLAS.useThreads(1)

  func prepare(for test: Test) async throws { Self.isSet }
}

extension Trait where Self == OneThread {
  static var oneThread: Self { OneThread() }
}
