import CMPI
import MPI

/// The ranks of a team, arranged as a rectangle for ScaLAPACK.
///
/// Rank r of the team stands in row r / columns and column r % columns. Six ranks make a grid of 2 × 3:
///
///     0 1 2
///     3 4 5
///
/// The grid is mapped on the communicator of the team. On the communicator of all ranks, BLACS would wait for every one
/// of them.
///
/// Like a `Communicator`, a grid must be let go by every member between the same two collective calls.
package final class ProcessGrid {
  package let team: Communicator
  /// The rows of ranks, P: the largest divisor of the team's size that is at most its square root.
  package let rows: Int
  /// The columns of ranks, Q = size / P.
  package let columns: Int
  /// The number of the grid in BLACS. Numbers of grids that are gone are used again.
  package let context: Int32
  private let systemHandle: Int32

  /// The row of this rank in the grid.
  package var row: Int { team.rank / columns }
  /// The column of this rank in the grid.
  package var column: Int { team.rank % columns }

  /// Arranges `team`.
  ///
  /// Collective: every member calls it. BLACS ends the whole job if it fails.
  ///
  /// C functions: `Csys2blacs_handle`, `Cblacs_gridmap`.
  package init(_ team: Communicator) {
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

  // `blacs_exit` is never called: it finalizes MPI. Told not to, it still forgets every other grid.
  deinit {
    blacs_grid_exit(context)
    blacs_free_system_handle(systemHandle)
  }

  /// The rows and columns P × Q for a team of `size`: as near to a square as the divisors of `size` allow, with P ≤ Q.
  /// A prime number of ranks makes one row.
  package static func shape(of size: Int) -> (rows: Int, columns: Int) {
    var rows = 1
    for divisor in 1...max(size, 1) {
      if divisor * divisor > size { break }
      if size.isMultiple(of: divisor) { rows = divisor }
    }
    return (rows, max(size, 1) / rows)
  }
}
