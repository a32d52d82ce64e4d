import CMPI

/// A group of ranks that talk to each other (MPI-3.1 §6).
///
/// A communicator made by ``split(colour:key:)``, ``splitByNode()`` or ``group(_:tag:)`` is freed when its last reference goes, so
/// every member must let go of it between the same two collective calls.
///
/// Not `Sendable`: MPI is initialized for calls from the main thread only.
public final class Communicator {
  /// The C communicator, for libraries that are built on MPI.
  package let handle: cmpi_comm
  private let isOwned: Bool

  /// This process's number here, from 0.
  public let rank: Int
  /// How many ranks there are.
  public let size: Int
  /// The most elements one MPI call is given; longer buffers go in several calls, since MPI counts in C ints.
  private(set) var maximumCount = 1 << 30

  /// Rank 0: the one that reads metadata and speaks to the user.
  public var isRoot: Bool { rank == 0 }

  init(handle: cmpi_comm, isOwned: Bool) throws(MPIError) {
    var rank: Int32 = 0
    var size: Int32 = 0
    // The default handler would kill the job before anyone could say what failed.
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

  /// Divides the ranks into disjoint communicators: one for each colour, its ranks ordered by key, then by rank here.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Parameter colour: 0 or more; nil for a rank that joins none.
  /// - Returns: the part this rank is in.
  ///
  /// C function: `MPI_Comm_split` (MPI-3.1 §6.4.2).
  public func split(colour: Int?, key: Int = 0) throws(MPIError) -> Communicator? {
    var part = handle
    var isMember: Int32 = 0
    let code = cmpi_split(handle, Int32(colour ?? -1), Int32(key), &part, &isMember)
    try check(code, "MPI_Comm_split")
    return isMember == 0 ? nil : try Communicator(handle: part, isOwned: true)
  }

  /// The ranks on this rank's node: those it shares memory with.
  ///
  /// Collective: every rank calls it.
  ///
  /// C function: `MPI_Comm_split_type` with `MPI_COMM_TYPE_SHARED` (MPI-3.1 §6.4.2).
  public func splitByNode() throws(MPIError) -> Communicator {
    var node = handle
    try check(cmpi_split_shared(handle, Int32(rank), &node), "MPI_Comm_split_type")
    return try Communicator(handle: node, isOwned: true)
  }

  /// Runs `body` with at most `count` elements in each MPI call, so that checks see the seams between calls with small buffers.
  package func withCalls(of count: Int, _ body: () throws -> Void) rethrows {
    let usual = maximumCount
    defer { maximumCount = usual }
    maximumCount = count
    try body()
  }

  /// Ends every process of the job at once with exit status `status`.
  public func abort(status: Int32) -> Never {
    _ = cmpi_abort(handle, status)
    fatalError("MPI_Abort returned")
  }
}

/// Throws what a call's return code means.
func check(_ code: Int32, _ call: String) throws(MPIError) {
  Heartbeat.beat()
  guard code == 0 else {
    var rank: Int32 = -1
    _ = cmpi_rank(cmpi_world(), &rank)
    throw MPIError(call: call, code: code, rank: Int(rank))
  }
}
