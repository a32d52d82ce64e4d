import Foundation
import SystemPackage

@testable import FROGDist

/// A folder that goes when its owner does.
final class TestFolder: Sendable {
  let path = FilePath(FileManager.default.temporaryDirectory.path).appending(
    "frog-mpi-\(UInt64.random(in: .min ... .max))")

  init() throws {
    try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: false)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path.string)
  }

  var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path.string).sorted()) ?? [] }

  /// Changes one byte of a file.
  func flip(_ byte: Int, of file: FilePath) throws {
    let url = URL(fileURLWithPath: file.string)
    var bytes = [UInt8](try Data(contentsOf: url))
    bytes[byte] ^= 1
    try Data(bytes).write(to: url)
  }
}

extension RecordWriter {
  /// Finishes a record of `rows × columns` whose factors are 0, 1, 2 …, with one value in each of these bins.
  func finish(
    _ ordinal: Int = 0, name: String = "w", run: String = "r", rows: Int, columns: Int, bins: [Int] = [],
    runs: [CandidateRun]
  ) throws -> MatrixRecord {
    let record = MatrixRecord(
      run: run, ordinal: ordinal, name: name, solver: MatrixSolver(.exact), rescue: nil, relativeError: 0.5,
      rankOneShare: .infinity, mean: 2, noise: try section((0..<rows + columns).map { Float($0) }),
      histogram: try section(bins.flatMap { [$0, 1] }), singularValues: try section([3.0, 2.0]), runs: runs)
    try finish(record)
    return record
  }
}
