import DistSVD
import Execution
import RunCore
import ShardIO
import Weights

/// The adapters of a matrix: they are written to their places, and the journal keeps what vouches for them.
struct ExportMeasurement: MatrixMeasurement {
  let choice: ExportChoice
  let layout: ExportLayout
  let files: PlacedFiles
  let source: TripletSource
  /// The gradients that rank SMT's blocks; nil if there are none.
  let gradients: GradientSource?

  var readsWeights: Bool {
    !choice.bases.isEmpty || source.factors == nil && choice.methods.contains(where: choice.needsTriplets)
  }

  /// What has been written of a matrix.
  struct Finding {
    let row: ExportedMatrix
    /// The hash of the bytes; empty on members of a team that do not write.
    let hash: String
  }

  struct Record: RecordContents {
    static let currentVersion = 1

    let row: ExportedMatrix
    /// The XXH3-128 of the bytes at all places of the matrix, one after the other.
    let bytes: String
  }

  func measure(_ task: MatrixTask) throws -> Finding {
    let writer = task.isOwner ? PlaceWriter(files) : nil
    var row = ExportedMatrix(task)
    let groups = layout.parts[task.ordinal]
    try source.forEach(groups.map(\.triplets), of: task) { position, triplets, rescue in
      row.rescue = row.rescue ?? rescue?.description
      try task.locally {
        guard let writer else { return }
        if let blocks = choice.blocks, groups[position].parts.contains(where: { $0.method == .smt }) {
          row.blocks =
            BlockMeans(
              scoresOf: triplets, rows: task.matrix.rows, columns: task.matrix.columns, side: blocks.side
            ).values
        }
        for part in groups[position].parts where !part.form.tensors.isEmpty {
          row.methods[part.method.rawValue] = try write(part, triplets, of: task, to: writer)
        }
      }
    }
    try task.locally {
      guard task.isOwner, let gradients, let blocks = choice.blocks else { return }
      row.blocks = try gradients.blocks(of: task.matrix, blocks).values
    }
    let hash = try task.locally { try writer?.finish() ?? "" }
    return Finding(row: row, hash: hash)
  }

  func record(_ finding: Finding, in writer: RecordWriter) throws -> Record {
    Record(row: finding.row, bytes: finding.hash)
  }

  func row(_ finding: Finding, of task: MatrixTask) -> ExportedMatrix { finding.row }

  func row(_ record: Record, of ordinal: Int, from reader: RecordReader) throws -> ExportedMatrix {
    guard record.row.ordinal == ordinal, try files.hash(of: layout.places(of: ordinal)) == record.bytes else {
      throw reader.damage
    }
    return record.row
  }

  /// Writes what a method keeps of a matrix, and what it leaves of it.
  private func write(
    _ part: ExportLayout.Part, _ triplets: SingularTriplets, of task: MatrixTask, to writer: PlaceWriter
  ) throws -> ExportedMatrix.Method {
    let tensors = try TensorContents(triplets, of: task.matrix, choice)
    for (tensor, place) in zip(part.form.tensors, part.places) {
      try writer.begin(place)
      try tensors.write(tensor, to: writer)
    }
    var error = 0.0
    if let taken = part.form.taken, let place = part.base {
      try writer.begin(place)
      error = try RemainingWeights(
        taken, triplets, of: task.source.scaled(by: 0), dtype: task.matrix.dtype
      ).write(to: writer, tensor: task.matrix.name)
    }
    let squares = triplets.values.reduce(0) {
      let value = $1.times(powerOfTwo: -task.exponent)
      return $0 + value * value
    }
    let norm = task.squaredNorm.times(powerOfTwo: 2 * task.exponent).squareRoot()
    return ExportedMatrix.Method(
      rank: triplets.count, energy: task.squaredNorm > 0 ? min(1, squares / task.squaredNorm) : 0,
      baseError: part.base == nil ? nil : norm > 0 ? error / norm : 0)
  }
}

/// What is told of the adapters of a matrix.
struct ExportedMatrix: MatrixRow {
  let ordinal: Int
  var rescue: String?
  /// The number of ranks that decomposed the matrix together.
  let members: Int
  /// What each method has of the matrix, by its name.
  var methods: [String: Method] = [:]
  /// What ranks each block, by its number, without SMT none.
  var blocks: [Double] = []

  /// What one method has of a matrix.
  struct Method: Codable {
    /// The number of triplets.
    let rank: Int
    /// The share of ‖W‖²_F that the triplets have.
    let energy: Double
    /// The rounding error of the base: ‖·‖_F relative to ‖W‖_F; nil if the base is not changed.
    let baseError: Double?
  }

  init(_ task: MatrixTask) {
    ordinal = task.ordinal
    members = task.memberCount
  }
}
