import DistSVD
import Execution
import FactorCache
import RunCore
import ShardIO
import Weights

/// The factors of a matrix: they are written to their place, and the journal keeps what vouches for them.
struct FactorMeasurement: MatrixMeasurement {
  let choice: FactorChoice
  let file: FactorFile

  /// Factors as they are stored.
  struct Finding {
    let svd: ThinSVD
    /// The singular values in the units of the weights.
    let values: [Float]
    let row: FactoredMatrix
  }

  struct Record: RecordContents {
    static let currentVersion = 1

    let row: FactoredMatrix
    /// The XXH3-128 of the bytes of U, σ and Vᵀ in the factor file.
    let factors: String
  }

  func measure(_ task: MatrixTask) throws -> Finding {
    let svd = try task.triplets(choice.triplets)
    return try task.locally {
      let values = try stored(svd.singularValues, of: task)
      if choice.dtype == .bf16 { svd.roundElements(choice.dtype.rounded) }
      // Only the owner keeps the result.
      let errors =
        try task.isOwner
        ? svd.errors(
          of: task.source, singularValues: values.map { Double($0).times(powerOfTwo: -task.exponent) }) : nil
      return Finding(svd: svd, values: values, row: FactoredMatrix(task, svd, errors))
    }
  }

  func record(_ finding: Finding, in writer: RecordWriter) throws -> Record {
    Record(row: finding.row, factors: try file.write(finding.svd, values: finding.values, of: finding.row.ordinal))
  }

  func row(_ finding: Finding, of task: MatrixTask) -> FactoredMatrix { finding.row }

  func row(_ record: Record, of ordinal: Int, from reader: RecordReader) throws -> FactoredMatrix {
    guard record.row.ordinal == ordinal, try file.hash(of: ordinal) == record.factors else { throw reader.damage }
    return record.row
  }

  /// The singular values in the units of the weights.
  private func stored(_ values: [Double], of task: MatrixTask) throws -> [Float] {
    let stored = values.map { Float($0.times(powerOfTwo: task.exponent)) }
    guard stored.allSatisfy(\.isFinite) else {
      throw RunFailure(
        .data,
        "tensor \(quoted(task.matrix.name)): its largest singular value is more than single precision holds; leave it out with --exclude"
      )
    }
    return stored
  }
}

/// What is told of the factors of a matrix.
struct FactoredMatrix: MatrixRow {
  let ordinal: Int
  let rescue: String?
  /// The number of ranks that decomposed the matrix together.
  let members: Int
  let method: ThinSVD.Method
  /// ‖W − U·Σ·Vᵀ‖_F ÷ ‖W‖_F of the stored factors; 0 for a matrix of zeros.
  let residual: Double
  /// ‖UᵀU − I‖_F of the stored U.
  let leftError: Double
  /// ‖VᵀV − I‖_F of the stored V.
  let rightError: Double

  /// - Parameter errors: nil on members of a team that do not keep the result.
  init(_ task: MatrixTask, _ svd: ThinSVD, _ errors: ThinSVD.Errors?) {
    ordinal = task.ordinal
    rescue = svd.rescue?.description
    members = task.memberCount
    method = svd.method
    let norm = task.squaredNorm.squareRoot()
    residual = errors.map { norm > 0 ? $0.residual / norm : 0 } ?? 0
    leftError = errors?.left ?? 0
    rightError = errors?.right ?? 0
  }
}

extension MatrixTask {
  /// The singular triplets of the matrix, in the units of ``source``. All of them have been compared with the norm of the matrix.
  ///
  /// Collective in a team: every member calls it.
  func triplets(_ wanted: Triplets) throws -> ThinSVD {
    let svd: ThinSVD
    if let team {
      svd = try ThinSVD(
        of: source, wanted, on: team.processGrid(), bandElements: Self.teamBandElements, agreeing: locally)
    } else {
      svd = try ThinSVD(of: source, wanted)
    }
    try check(svd)
    return svd
  }

  /// Several choices of triplets, which share most of the work; else as ``triplets(_:)``.
  ///
  /// - Parameter body: is called with the position of each choice and its triplets, one after the other.
  func forEachTriplets(_ wanted: [Triplets], _ body: (_ position: Int, ThinSVD) throws -> Void) throws {
    func checked(_ position: Int, _ svd: ThinSVD) throws {
      try check(svd)
      try body(position, svd)
    }
    guard let team else { return try ThinSVD.forEach(wanted, of: source, checked) }
    try ThinSVD.forEach(
      wanted, of: source, on: team.processGrid(), bandElements: Self.teamBandElements, agreeing: locally, checked)
  }

  /// Compares all triplets with the norm of the matrix.
  private func check(_ svd: ThinSVD) throws {
    guard svd.count == matrix.order else { return }
    try locally { try check(singularValues: svd.singularValues, precision: .f64) }
  }
}
