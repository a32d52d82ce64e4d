import CKernels
import DistSVD
import FoundationEssentials
import MPI
import ShardIO
import SystemPackage

/// What the scores are multiplied by: for each matrix a tensor of its name in another checkpoint, [n] (norms of the activations that
/// meet its columns: Wanda, ASVD) or [m, n] (|G| or G² of a gradient: SPEFT, Fisher).
final class ExternalSignal {
  private let catalog: Catalog
  private let ordinals: [ExactName: Int]
  private let shards: OpenShards
  private let norms: Norms

  /// Of all its values, with names, types and shapes.
  var fingerprint: String { norms.fingerprint }

  private init(_ catalog: Catalog, shards: OpenShards, norms: Norms) {
    self.catalog = catalog
    ordinals = Dictionary(
      catalog.matrices.enumerated().map { (ExactName($1.name), $0) }, uniquingKeysWith: { first, _ in first })
    self.shards = shards
    self.norms = norms
  }

  /// Finds the tensors for `matrices` and looks at all their values once.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure`` if a matrix has no tensor, if one has another shape, or if a value is NaN or infinite.
  static func load(_ path: FilePath, for matrices: [Catalog.Matrix], io: SourceKind, world: Communicator) throws
    -> ExternalSignal
  {
    let bytes = try world.fromRoot {
      Array(try JSONEncoder().encode(Catalog(signals: Checkpoint.open(path, io: io), for: matrices)))
    }
    let catalog = try JSONDecoder().decode(Catalog.self, from: Data(bytes))
    let shards = OpenShards(catalog, io: io)
    let norms = try Norms.measure(catalog, shards: shards, world: world) { _ in }
    return ExternalSignal(catalog, shards: shards, norms: norms)
  }

  /// The signal of one matrix.
  ///
  /// - Parameters:
  ///   - exponent: g; panels are multiplied by G·2^−g.
  ///   - longest: of the ranges of the streaming side that will be asked for.
  func view(of matrix: Catalog.Matrix, exponent: Int, longest: Int) throws -> SignalView {
    let entry = catalog.matrices[try ordinal(of: matrix)]
    return try SignalView(
      shards.panels(of: entry), exponent: exponent, isVector: entry.rows != matrix.rows,
      place: catalog.place(of: entry),
      elements: longest * min(matrix.rows, matrix.columns))
  }

  /// ‖G‖²_F of the signal of one matrix.
  func squaredNorm(of matrix: Catalog.Matrix) throws -> Double { norms.squared[try ordinal(of: matrix)] }

  private func ordinal(of matrix: Catalog.Matrix) throws -> Int {
    guard let ordinal = ordinals[ExactName(matrix.name)] else {
      throw RunFailure(.internal, "no signal for tensor \(quoted(matrix.name))")
    }
    return ordinal
  }
}

/// Multiplies panels of scores by a signal.
struct SignalView {
  private let source: MatrixPanels
  private let exponent: Int
  /// Whether it has one value for each column.
  private let isVector: Bool
  private let place: String
  private let values: AlignedBuffer<Float>

  init(_ source: MatrixPanels, exponent: Int, isVector: Bool, place: String, elements: Int) throws {
    self.source = source.scaled(by: exponent)
    self.exponent = exponent
    self.isVector = isVector
    self.place = place
    values = try AlignedBuffer(count: isVector ? source.columns : elements)
    if isVector { try read(rows: 0..<1, columns: 0..<source.columns) }
  }

  func multiply(_ panel: ScorePanel) throws {
    guard !panel.scores.isEmpty else { return }
    let width = panel.columns.count
    if !isVector { try read(rows: panel.rows, columns: panel.columns) }
    var start = isVector ? panel.columns.lowerBound : 0
    panel.forEachRow { _, scores in
      frog_multiply(scores.baseAddress, width, values.elements.baseAddress.map { $0 + start })
      if !isVector { start += width }
    }
  }

  private func read(rows: Range<Int>, columns: Range<Int>) throws {
    let part = values.prefix(rows.count * columns.count)
    try source.read(rows: rows, columns: columns, into: part)
    let unfit = frog_first_unfit(part.baseAddress, part.count)
    guard unfit < 0 else {
      let (row, column) = unfit.quotientAndRemainder(dividingBy: columns.count)
      throw RunFailure(
        .data,
        "\(place): \(Float(Double(part[unfit]).times(powerOfTwo: exponent))) at row \(rows.lowerBound + row), column \(columns.lowerBound + column); "
          + "what multiplies scores must be finite and not negative: store |G| or G², or norms")
    }
  }
}

extension Catalog {
  /// The tensors of `checkpoint` that have the names of `matrices`, by ordinal of those; a vector counts as one row.
  init(signals checkpoint: Checkpoint, for matrices: [Matrix]) throws {
    let byName = Dictionary(checkpoint.tensors.map { (ExactName($0.info.name), $0) }) { first, _ in first }
    var numbers: [Int: Int] = [:]
    var shards: [Shard] = []
    self.matrices = try matrices.map { matrix in
      guard let tensor = byName[ExactName(matrix.name)] else {
        throw RunFailure(
          .data,
          "\(shown(checkpoint.path)) has no tensor \(quoted(matrix.name)): --weight-by needs one for every weight matrix; "
            + "leave the matrix out with --exclude, or add [\(matrix.columns)] or \([matrix.rows, matrix.columns])")
      }
      let info = tensor.info
      let shard = checkpoint.shards[tensor.shard]
      guard info.dtype.isDecodable, info.shape == [matrix.columns] || info.shape == [matrix.rows, matrix.columns] else {
        throw RunFailure(
          .data,
          "\(shown(shard.path)): tensor \(quoted(info.name)) is \(info.dtype.rawValue) \(info.shape), should be "
            + "floating-point [\(matrix.columns)] or \([matrix.rows, matrix.columns])")
      }
      let number = numbers[tensor.shard] ?? shards.count
      if number == shards.count {
        numbers[tensor.shard] = number
        shards.append(Shard(fileName: shard.fileName, path: shard.path.string, size: shard.header.fileSize))
      }
      return Matrix(
        name: info.name, dtype: info.dtype, rows: info.shape.count == 1 ? 1 : info.shape[0], columns: matrix.columns,
        shard: number, offset: info.byteRange.lowerBound, byteCount: info.byteRange.count)
    }
    self.shards = shards
  }
}
