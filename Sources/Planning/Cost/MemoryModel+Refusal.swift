import RunCore
import ShardIO
import Weights

extension MemoryModel {
  /// The failure that says why teams of up to `ranks` cannot do `matrix` under the limit, and the smallest configuration that can.
  package func refusal(of matrix: Catalog.Matrix, ranks: Int) -> RunFailure {
    func needed(_ team: Int) -> Int? { bytes(rows: matrix.rows, columns: matrix.columns, team: team) }
    let alone = needed(1).map { "needs \(ByteCount.roundedUp($0)) on one process" } ?? "is too large for one process"
    let allowed = ByteCount.roundedUp(limit)
    let line = "tensor \(quoted(matrix.name)) (\(matrix.rows) × \(matrix.columns)) \(alone), \(allowed) is allowed"
    // A larger team under this limit is proposed first. If there is none, more memory is proposed for a team of these ranks.
    let sizes = TeamSizes.upTo(TeamSizes.largest).dropFirst()
    if let team = sizes.first(where: { (needed($0) ?? .max) <= limit }), team > ranks {
      let each = ByteCount.roundedUp(needed(team) ?? 0)
      let more = needed(1).map { ", or give --memory \(ByteCount.roundedUp($0))" } ?? ""
      return RunFailure(.usage, "\(line); \(each) on each of \(team): start at least \(team) processes\(more)")
    }
    let team = max(2, min(ranks, 64))
    let (one, several) = (needed(1), needed(team) ?? .max)
    // The panels that a member holds can outweigh what the team divides among its members. Then one rank is the better choice.
    if let one, one <= several { return RunFailure(.usage, "\(line): give --memory \(ByteCount.roundedUp(one))") }
    let each = ByteCount.roundedUp(several)
    return RunFailure(
      .usage, "\(line); \(each) on each of \(team): give --memory \(each) with at least \(team) processes")
  }
}
