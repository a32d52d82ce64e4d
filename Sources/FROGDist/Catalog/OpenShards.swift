import DistSVD
import MPI
import ShardIO
import SystemPackage

/// The shards this rank has opened, each once and only when first needed.
final class OpenShards {
  private let catalog: Catalog
  private let kind: SourceKind
  private var sources: [Int: any ByteSource] = [:]

  init(_ catalog: Catalog, io kind: SourceKind) {
    self.catalog = catalog
    self.kind = kind
  }

  /// A shard, by its position in the catalog.
  ///
  /// - Throws: ``RunFailure`` if this rank's file is not there, or differs in size from the one rank 0 read.
  func source(_ number: Int) throws -> any ByteSource {
    if let open = sources[number] { return open }
    let shard = catalog.shards[number]
    let path = FilePath(shard.path)
    let source: any ByteSource
    do throws(SourceError) {
      source = try kind.open(path)
    } catch {
      // Rank 0 has read it a moment ago.
      guard error.kind == .noInput else { throw error }
      throw RunFailure(.io, "\(error): rank 0 has read it; \(Self.rule)")
    }
    guard source.size == shard.size else {
      throw RunFailure(
        .io,
        "\(shown(path)): rank 0 read a file of \(shard.size) bytes, another rank finds \(source.size): \(Self.rule)")
    }
    sources[number] = source
    return source
  }

  private static let rule = "every node must see the same checkpoint, and it must not change during a run"

  /// The matrix, ready to be read in panels.
  func panels(of matrix: Catalog.Matrix) throws -> MatrixPanels {
    MatrixPanels(try view(of: matrix))
  }

  /// The matrix in its file, with the scales of its weights if it has some.
  func view(of matrix: Catalog.Matrix) throws -> TensorView {
    let tensor = catalog.tensors[matrix.tensor]
    return try TensorView(
      source: source(tensor.shard),
      tensor: TensorInfo(
        name: tensor.name, dtype: tensor.dtype, shape: tensor.shape,
        byteRange: tensor.offset..<tensor.offset + tensor.byteCount),
      slice: matrix.slice, scales: tensor.content.scale.map { try scales($0, of: matrix) })
  }

  private func scales(_ scale: WeightScale, of matrix: Catalog.Matrix) throws -> BlockScales {
    try BlockScales(
      source: source(scale.shard),
      tensor: TensorInfo(
        name: scale.name, dtype: scale.dtype, shape: scale.shape,
        byteRange: scale.offset..<scale.offset + scale.byteCount),
      slab: scale.isStacked ? matrix.slice.slab : 0, blockRows: scale.blockRows, blockColumns: scale.blockColumns,
      storedRows: matrix.slice.storedRows, storedColumns: matrix.slice.storedColumns)
  }
}

/// Lends a stored matrix to the solvers, as W·2^−e.
final class MatrixPanels: PanelSource {
  /// Weights scaled at a time.
  private static let pieceLength = 1 << 16

  private let view: TensorView
  /// e; within ±512, as norms whose squares are no normal numbers have been refused.
  private let exponent: Int
  private var scratch = ScratchBytes()
  private var piece: [Double] = []

  init(_ view: TensorView, exponent: Int = 0) {
    self.view = view
    self.exponent = exponent
  }

  /// The same matrix with another e.
  func scaled(by exponent: Int) -> MatrixPanels {
    exponent == self.exponent ? self : MatrixPanels(view, exponent: exponent)
  }

  var rows: Int { view.rows }
  var columns: Int { view.columns }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Float>) throws {
    Heartbeat.beat()
    guard exponent != 0 else {
      return try view.decode(rows: rows, columns: columns, into: panel, scratch: &scratch)
    }
    try forEachPiece(rows: rows, columns: columns) { start, weights in
      for index in weights.indices { panel[start + index] = Float(weights[index]) }
    }
  }

  func read(rows: Range<Int>, columns: Range<Int>, into panel: UnsafeMutableBufferPointer<Double>) throws {
    Heartbeat.beat()
    guard exponent != 0 else {
      return try view.decode(rows: rows, columns: columns, into: panel, scratch: &scratch)
    }
    try forEachPiece(rows: rows, columns: columns) { start, weights in
      for index in weights.indices { panel[start + index] = weights[index] }
    }
  }

  /// Calls `body` with scaled weights, and where the first of them lies in a dense panel of `rows × columns`.
  ///
  /// They are scaled in double precision, where a weight that is no longer a normal number is 2^500 times smaller than the norm: narrowing
  /// is the only rounding, as it is of an ordinary matrix.
  private func forEachPiece(
    rows: Range<Int>, columns: Range<Int>, _ body: (_ start: Int, _ weights: UnsafeMutableBufferPointer<Double>) -> Void
  ) throws {
    let factor = 1.0.times(powerOfTwo: -exponent)
    let height = max(1, Self.pieceLength / max(columns.count, 1))
    if piece.isEmpty { piece = [Double](repeating: 0, count: Self.pieceLength) }
    for row in stride(from: rows.lowerBound, to: rows.upperBound, by: height) {
      let lines = row..<min(row + height, rows.upperBound)
      // Whole rows, or parts of one: consecutive in the panel either way.
      for column in stride(from: columns.lowerBound, to: columns.upperBound, by: Self.pieceLength) {
        let part = column..<min(column + Self.pieceLength, columns.upperBound)
        try piece.withUnsafeMutableBufferPointer { buffer in
          let weights = UnsafeMutableBufferPointer(rebasing: buffer[..<(lines.count * part.count)])
          try view.decode(rows: lines, columns: part, into: weights, scratch: &scratch)
          for index in weights.indices { weights[index] *= factor }
          body((row - rows.lowerBound) * columns.count + column - columns.lowerBound, weights)
        }
      }
    }
  }
}
