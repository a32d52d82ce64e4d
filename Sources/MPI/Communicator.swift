import CMPI

/// A group of ranks that talk to each other (MPI-3.1 §6).
///
///     let total = try world.allReduced(count, .sum)            // all ranks call it, all get the sum
///     let team = try world.group(0..<4)                        // ranks 0 to 3 alone call it
///
/// Invariant: a *collective* method is called by every rank of the communicator, in the same order among all collective
/// methods. A rank that leaves one out makes the others wait for ever.
///
/// A communicator that is made by ``split(colour:key:)``, ``splitByNode()`` or ``group(_:tag:)`` is freed when its last
/// reference goes. Freeing is collective too, so every member must let go of it between the same two collective calls.
///
/// It is not `Sendable`, since MPI is initialized for calls from the main thread only.
package final class Communicator {
  /// The C communicator, for libraries that are built on MPI.
  package let handle: cmpi_comm
  private let isOwned: Bool

  /// The number of this process in the communicator, from 0.
  package let rank: Int
  /// The number of ranks.
  package let size: Int
  /// The most elements one MPI call is given; longer buffers go in several calls, since MPI counts in C ints.
  private(set) var maximumCount = 1 << 30

  /// Whether this is rank 0, which reads metadata and speaks to the user.
  package var isRoot: Bool { rank == 0 }

  init(handle: cmpi_comm, isOwned: Bool) throws(MPIError) {
    var rank: Int32 = 0
    var size: Int32 = 0
    // The default handler would kill the job before any rank could say what failed.
    try check(cmpi_return_errors(handle), "MPI_Comm_set_errhandler")
    try check(cmpi_rank(handle, &rank), "MPI_Comm_rank")
    try check(cmpi_size(handle, &size), "MPI_Comm_size")
    self.handle = handle
    self.isOwned = isOwned
    self.rank = Int(rank)
    self.size = Int(size)
  }

  deinit {
    if isOwned { _ = cmpi_free(handle) }
  }

  /// A communicator of the same ranks, whose messages and collective calls are apart from those of this one.
  ///
  /// Collective: every rank calls it.
  ///
  /// C function: `MPI_Comm_dup` (MPI-3.1 §6.4.2).
  package func duplicate() throws(MPIError) -> Communicator {
    var copy = handle
    try check(cmpi_duplicate(handle, &copy), "MPI_Comm_dup")
    return try Communicator(handle: copy, isOwned: true)
  }

  /// Divides the ranks into disjoint communicators, one for each colour.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameters:
  ///   - colour: the colour of this rank, 0 or more; nil for a rank that joins no communicator.
  ///   - key: orders the ranks of a colour. Ranks of one key keep their order.
  /// - Returns: the communicator of this rank's colour.
  ///
  /// C function: `MPI_Comm_split` (MPI-3.1 §6.4.2).
  package func split(colour: Int?, key: Int = 0) throws(MPIError) -> Communicator? {
    var part = handle
    var isMember: Int32 = 0
    let code = cmpi_split(handle, Int32(colour ?? -1), Int32(key), &part, &isMember)
    try check(code, "MPI_Comm_split")
    return isMember == 0 ? nil : try Communicator(handle: part, isOwned: true)
  }

  /// A communicator of the ranks on this rank's node, which share memory.
  ///
  /// Collective: every rank calls it.
  ///
  /// C function: `MPI_Comm_split_type` with `MPI_COMM_TYPE_SHARED` (MPI-3.1 §6.4.2).
  package func splitByNode() throws(MPIError) -> Communicator {
    var node = handle
    try check(cmpi_split_shared(handle, Int32(rank), &node), "MPI_Comm_split_type")
    return try Communicator(handle: node, isOwned: true)
  }

  /// Runs `body` with at most `count` elements in each MPI call, so that checks see the seams between calls with small
  /// buffers.
  package func withCalls(of count: Int, _ body: () throws -> Void) rethrows {
    let usual = maximumCount
    defer { maximumCount = usual }
    maximumCount = count
    try body()
  }

  /// Ends every process of the job at once with exit status `status`.
  package func abort(status: Int32) -> Never {
    _ = cmpi_abort(handle, status)
    fatalError("MPI_Abort returned")
  }
}

/// Throws if the return code of an MPI call is not 0. Counts as a heartbeat.
func check(_ code: Int32, _ call: String) throws(MPIError) {
  Heartbeat.beat()
  try checkSilently(code, call)
}

/// Throws if the return code of an MPI call is not 0. It is no heartbeat: for calls that only look whether something has happened.
func checkSilently(_ code: Int32, _ call: String) throws(MPIError) {
  guard code == 0 else {
    var rank: Int32 = -1
    _ = cmpi_rank(cmpi_world(), &rank)
    throw MPIError(call: call, code: code, rank: Int(rank))
  }
}
