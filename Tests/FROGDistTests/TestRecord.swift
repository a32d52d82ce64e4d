import TestSupport

@testable import FROGDist
@testable import RunCore
@testable import Weights

extension RecordWriter {
  /// Finishes a record of `rows × columns` whose factors are 0, 1, 2 …, with one value in each of these bins.
  func finish(
    rows: Int, columns: Int, bins: [Int] = [], runs: [CandidateRun]
  ) throws -> MatrixRecord {
    let record = MatrixRecord(
      solver: MatrixSolver(.exact), rescue: nil, relativeError: 0.5,
      rankOneShare: .infinity, mean: 2, scoreSum: 12, noise: try section((0..<rows + columns).map { Float($0) }),
      histogram: try section(bins.flatMap { [$0, 1] }), singularValues: try section([3.0, 2.0]), runs: runs)
    try finish(record)
    return record
  }
}

extension RecordHead {
  /// Whose the records of tests are.
  static let test = RecordHead(run: "r", ordinal: 0, name: "w", members: 1)
}
