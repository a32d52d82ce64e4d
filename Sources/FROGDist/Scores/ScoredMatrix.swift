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
  /// The path of the record.
  let path: FilePath
  let units: ScoreUnits
  /// What there is of each ranking, in the order of the run's rankings.
  var rankings: [RankedMatrix]

  /// The matrix that a record of the journal at `path` describes.
  ///
  /// - Parameters:
  ///   - ranked: the exponents of the values that rank its weights, by ranking.
  ///   - block: the side of the blocks that are kept whole; nil if weights are kept one by one.
  init(
    _ record: MatrixRecord, of matrix: Catalog.Matrix, ordinal: Int, at path: FilePath, units: ScoreUnits,
    ranked: [Int], block: Int?
  ) {
    self.ordinal = ordinal
    name = matrix.name
    self.record = record
    self.path = path
    self.units = units
    let blocks = block.map { BlockGrid(rows: matrix.rows, columns: matrix.columns, side: $0) }
    rankings = zip(record.rankings, ranked).map { ranking, exponent in
      RankedMatrix(
        candidates: CandidateSet(path: path, matrixColumns: matrix.columns, blocks: blocks, runs: ranking.runs),
        exponent: exponent)
    }
  }
}

/// The weights of a matrix as one ranking orders them.
struct RankedMatrix {
  let candidates: CandidateSet
  /// The exponent u of the values V·2^−u that rank the weights.
  let exponent: Int
  /// The border of the selection, by target of the ranking; empty until it is known.
  var cuts: [Cut] = []
  /// The number of weights that the matrix keeps of its own budget, by target of the ranking; 0 where one threshold holds for all matrices.
  var kept: [Int] = []

  /// The ranked value at the border of a target, in the units of weights; nil if nothing is kept.
  func threshold(of target: Int) -> Double? {
    cuts[target].threshold.map { Double($0).times(powerOfTwo: exponent) }
  }
}

/// A matrix that an earlier process has scored, and the number of its ranked values in each bin, by ranking.
struct RecoveredScores {
  let matrix: ScoredMatrix
  let histograms: [[Int]]

  /// - Throws: ``RunFailure`` if the record is not one of `matrix`, or damaged.
  init(
    _ reader: RecordReader, _ record: MatrixRecord, of matrix: Catalog.Matrix, ordinal: Int, units: ScoreUnits,
    ranked: [Int], block: Int?
  ) throws {
    guard record.noise.count(of: Float.self) == matrix.rows + matrix.columns, record.rankings.count == ranked.count
    else { throw reader.damage }
    _ = try reader.read(record.noise, of: Float.self)
    _ = try reader.read(record.singularValues, of: Double.self)
    histograms = try record.rankings.map { ranking in
      guard let histogram = ScoreHistogram.decode(try reader.read(ranking.histogram, of: Int.self)),
        histogram.reduce(0, &+) == matrix.size, CoarseSums.decode(try reader.read(ranking.sums, of: Double.self)) != nil
      else { throw reader.damage }
      for run in ranking.runs { try Self.check(run, of: matrix, reader) }
      return histogram
    }
    self.matrix = ScoredMatrix(
      record, of: matrix, ordinal: ordinal, at: reader.path, units: units, ranked: ranked, block: block)
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
