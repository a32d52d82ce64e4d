import DistSVD
import MPI
import RunCore

/// The threads of BLAS on every rank.
package enum BLASThreads {
  /// The bytes that OpenBLAS takes for each thread: a buffer of 128 MiB, and the thread's stack and heap.
  package static let bytesOfEach = 160 << 20

  /// Gives `count` threads to every BLAS and LAPACK call of each rank, if all ranks can have them.
  ///
  /// Collective: every rank calls it, with the same `count`.
  ///
  /// - Throws: ``RunFailure``, the same on every rank, if a limit of some rank's process forbids it. OpenBLAS itself would wait for ever.
  package static func start(_ count: Int, on world: Communicator) throws {
    try world.agreeing { try ResourceTrial(threads: count - 1, bytes: count * bytesOfEach).run() }
    LocalBLAS.useThreads(count)
    LocalBLAS.takeBuffer()
  }
}
