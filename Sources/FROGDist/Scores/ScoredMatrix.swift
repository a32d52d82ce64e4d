import CKernels
import RunCore
import ShardIO
import SystemPackage
import Weights

/// What scoring a matrix leaves behind, on the rank that owns the matrix.
struct ScoredMatrix {
  /// The position of the matrix in the catalog.
  let ordinal: Int
  /// The checkpoint's name for the matrix.
  let name: String
  let record: MatrixRecord
  let candidates: CandidateSet
  let units: ScoreUnits
  /// The border of the selection in this matrix; it keeps nothing until the selection is known.
  var cut = Cut.nothing

  /// The ranked value at the border, in the units of weights; nil if nothing is kept.
  var threshold: Double? { cut.threshold.map { Double($0).times(powerOfTwo: units.ranked) } }

  /// The matrix that a record of the journal at `path` describes.
  init(_ record: MatrixRecord, of matrix: Catalog.Matrix, ordinal: Int, at path: FilePath, units: ScoreUnits) {
    self.ordinal = ordinal
    name = matrix.name
    self.record = record
    candidates = CandidateSet(path: path, matrixColumns: matrix.columns, runs: record.runs)
    self.units = units
  }
}

/// A matrix that an earlier process has scored, and the number of its ranked values in each bin.
struct RecoveredScores {
  let matrix: ScoredMatrix
  let histogram: [Int]

  /// - Throws: ``RunFailure`` if the record is not one of `matrix`, or damaged.
  init(
    _ reader: RecordReader, _ record: MatrixRecord, of matrix: Catalog.Matrix, ordinal: Int, units: ScoreUnits
  ) throws {
    guard record.noise.count(of: Float.self) == matrix.rows + matrix.columns,
      let histogram = ScoreHistogram.decode(try reader.read(record.histogram, of: Int.self)),
      histogram.reduce(0, &+) == matrix.size
    else { throw reader.damage }
    _ = try reader.read(record.noise, of: Float.self)
    _ = try reader.read(record.singularValues, of: Double.self)
    for run in record.runs { try Self.check(run, of: matrix, reader) }
    self.matrix = ScoredMatrix(record, of: matrix, ordinal: ordinal, at: reader.path, units: units)
    self.histogram = histogram
  }

  /// Checks a run: a position outside the matrix would be written outside its mask.
  private static func check(_ run: CandidateRun, of matrix: Catalog.Matrix, _ reader: RecordReader) throws {
    guard (0..<matrix.rows).contains(run.rows), (0..<matrix.columns).contains(run.columns),
      run.scores.map({ $0.count(of: Float.self) == run.count }) ?? true
    else { throw reader.damage }
    let size = run.rows.count * run.columns.count
    let cursor = CandidateCursor(run, of: reader)
    while let candidate = try cursor.peek() {
      guard Int(candidate.position) < size else { throw reader.damage }
      cursor.advance()
    }
  }
}
