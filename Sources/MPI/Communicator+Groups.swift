import CMPI

extension Communicator {
  /// A communicator of `ranks` alone, in their order here.
  ///
  /// Collective among `ranks`: only they call it. So disjoint teams can form at the same time, and one after another,
  /// without a call that waits for everybody. A rank that is in several teams must form them in an order that all
  /// members share.
  ///
  /// - Parameters:
  ///   - ranks: the members. This rank is one of them.
  ///   - tag: tells apart groups that overlap and are formed by several threads at once; else 0.
  ///
  /// C function: `MPI_Comm_create_group` (MPI-3.1 §6.4.2).
  package func group(_ ranks: Range<Int>, tag: Int = 0) throws(MPIError) -> Communicator {
    precondition(ranks.contains(rank) && 0 <= ranks.lowerBound && ranks.upperBound <= size, "only members form a group")
    var part = handle
    try check(
      cmpi_group(handle, Int32(ranks.lowerBound), Int32(ranks.upperBound - 1), Int32(tag), &part),
      "MPI_Comm_create_group")
    return try Communicator(handle: part, isOwned: true)
  }
}
