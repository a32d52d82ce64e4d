import CMPI

extension Communicator {
  /// A communicator of the ranks in `ranks` alone, in their order here.
  ///
  /// Collective over `ranks`: only they call it, so that disjoint teams form at the same time, and teams follow one another,
  /// without a call that waits for everybody. A rank in several teams forms them in an order that all members share.
  ///
  /// - Parameters:
  ///   - ranks: not empty; this rank is one of them.
  ///   - tag: tells apart groups that overlap and are formed by several threads at once; 0 will do otherwise.
  ///
  /// C function: `MPI_Comm_create_group` (MPI-3.1 §6.4.2).
  public func group(_ ranks: Range<Int>, tag: Int = 0) throws(MPIError) -> Communicator {
    precondition(ranks.contains(rank) && 0 <= ranks.lowerBound && ranks.upperBound <= size, "only members form a group")
    var part = handle
    try check(
      cmpi_group(handle, Int32(ranks.lowerBound), Int32(ranks.upperBound - 1), Int32(tag), &part),
      "MPI_Comm_create_group")
    return try Communicator(handle: part, isOwned: true)
  }
}
