import CMPI
import MPI

/// The ranks of a team arranged as a rectangle, for ScaLAPACK.
///
/// Rank r of the team stands in row r / columns, column r % columns. The grid is mapped on the team's own communicator: on
/// that of all ranks BLACS would wait for every one of them.
///
/// Like a ``Communicator``, every member lets go of it between the same two collective calls.
public final class ProcessGrid {
  /// The ranks of the grid.
  public let team: Communicator
  /// How many rows of ranks, P: the largest divisor of the team's size up to its square root.
  public let rows: Int
  /// How many columns of ranks, Q = size / P.
  public let columns: Int
  /// BLACS's number for the grid; those of grids that are gone are used again.
  package let context: Int32
  private let systemHandle: Int32

  /// This rank's row.
  public var row: Int { team.rank / columns }
  /// This rank's column.
  public var column: Int { team.rank % columns }

  /// Arranges `team`.
  ///
  /// Collective: every member calls it. BLACS ends the whole job if it fails.
  ///
  /// C functions: `Csys2blacs_handle`, `Cblacs_gridmap`.
  public init(_ team: Communicator) {
    self.team = team
    (rows, columns) = Self.shape(of: team.size)
    var map = [Int32](repeating: 0, count: team.size)
    for rank in 0..<team.size {
      map[rank / columns + rank % columns * rows] = Int32(rank)
    }
    systemHandle = blacs_system_handle(team.handle)
    context = blacs_grid_map(systemHandle, &map, Int32(rows), Int32(columns))
    blacs_repeatable(context)
    var (gridRows, gridColumns, row, column) = (Int32(0), Int32(0), Int32(0), Int32(0))
    blacs_grid_info(context, &gridRows, &gridColumns, &row, &column)
    precondition(
      Int(gridRows) == rows && Int(gridColumns) == columns && Int(row) == self.row && Int(column) == self.column,
      "BLACS arranges the ranks as told")
  }

  // Never `blacs_exit`: it finalizes MPI or, told not to, still forgets every other grid.
  deinit {
    blacs_grid_exit(context)
    blacs_free_system_handle(systemHandle)
  }

  /// P × Q for a team of `size`: as near to a square as its divisors allow, P ≤ Q. A prime number of ranks is one row.
  public static func shape(of size: Int) -> (rows: Int, columns: Int) {
    var rows = 1
    for divisor in 1...max(size, 1) {
      if divisor * divisor > size { break }
      if size.isMultiple(of: divisor) { rows = divisor }
    }
    return (rows, max(size, 1) / rows)
  }
}
