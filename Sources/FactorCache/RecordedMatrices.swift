import Execution
import RunCore
import ShardIO
import SystemPackage
import Weights

/// The matrices that a record of factors describes, to be found by the matrices of a checkpoint.
struct RecordedMatrices {
  private let record: FactorRecord
  private let path: FilePath

  init(_ record: FactorRecord, in path: FilePath) {
    self.record = record
    self.path = path
  }

  /// The entry of every matrix of `catalog`, by ordinal.
  ///
  /// - Throws: ``RunFailure`` naming the first matrix that has no factors, or that is another there, or the first matrix that the catalog
  ///   lacks.
  func matched(to catalog: Catalog) throws(RunFailure) -> [FactorRecord.Matrix] {
    var entries: [ExactName: FactorRecord.Matrix] = [:]
    for matrix in record.matrices { entries[ExactName(matrix.name)] = matrix }
    var found: [FactorRecord.Matrix] = []
    for matrix in catalog.matrices {
      guard let entry = entries.removeValue(forKey: ExactName(matrix.name)) else {
        throw RunFailure(.data, "\(shown(path)) has no factors of tensor \(quoted(matrix.name)): \(Self.remedy)")
      }
      guard entry.shape == [matrix.rows, matrix.columns], entry.dtype == matrix.dtype.rawValue,
        ExactName(entry.tensor) == ExactName(catalog.tensors[matrix.tensor].name),
        entry.slice == catalog.recordedSlice(of: matrix)
      else {
        throw RunFailure(
          .data,
          "\(shown(path)): the factors of tensor \(quoted(matrix.name)) are of another matrix, \(entry.dtype) "
            + "\(entry.shape.map(String.init).joined(separator: " × ")), not \(matrix.dtype.rawValue) "
            + "\(matrix.rows) × \(matrix.columns) cut in the same way: \(Self.remedy)")
      }
      guard (1...max(1, matrix.order)).contains(entry.rank) else {
        throw RunFailure(
          .data,
          "\(shown(path.appending(FactorFiles.recordName))): \(entry.rank) triplets of tensor \(quoted(matrix.name)), which has "
            + "\(matrix.order)")
      }
      found.append(entry)
    }
    if let other = record.matrices.first(where: { entries[ExactName($0.name)] != nil }) {
      throw RunFailure(
        .data,
        "\(shown(path)) has factors of tensor \(quoted(other.name)), which is no matrix of this run: \(Self.remedy)")
    }
    return found
  }

  private static let remedy =
    "run frog-mpi factor on this checkpoint, both with the same --include, --exclude, --conv and --split-fused"
}
