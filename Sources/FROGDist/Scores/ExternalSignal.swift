import CKernels
import DistSVD
import Execution
import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage
import Weights

/// The tensors of another checkpoint that scores are multiplied by, one for each matrix and of its name.
///
/// A tensor of shape [n] has one value for each column, such as the norms of the activations that meet it (Wanda, ASVD). A tensor of shape
/// [m, n] has one for each weight, such as |G| or G² of a gradient (SPEFT, Fisher).
final class ExternalSignal {
  private let catalog: Catalog
  private let ordinals: [ExactName: Int]
  private let shards: OpenShards
  private let norms: Norms
  private let contents: ContentCheck

  /// The fingerprint of all values, with names, types and shapes of the tensors.
  var fingerprint: String { norms.fingerprint }

  private init(_ catalog: Catalog, shards: OpenShards, norms: Norms) {
    self.catalog = catalog
    ordinals = Dictionary(
      catalog.matrices.enumerated().map { (ExactName($1.name), $0) }, uniquingKeysWith: { first, _ in first })
    self.shards = shards
    self.norms = norms
    contents = ContentCheck(catalog, norms: norms, shards: shards)
  }

  /// Finds the tensors for the matrices of `catalog`, and reads all their values once.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure`` if a matrix has no tensor, if a tensor has another shape or type, or if a value is NaN or infinite.
  static func load(_ path: FilePath, for catalog: Catalog, io: SourceKind, world: Communicator) throws
    -> ExternalSignal
  {
    let bytes = try world.fromRoot {
      Array(try JSONEncoder().encode(Catalog(signals: Checkpoint.open(path, io: io), for: catalog)))
    }
    let signals = try JSONDecoder().decode(Catalog.self, from: Data(bytes))
    let shards = OpenShards(signals, io: io)
    let norms = try Norms.measure(signals, shards: shards, world: world) { _ in }
    return ExternalSignal(signals, shards: shards, norms: norms)
  }

  /// Opens the signal of one matrix.
  ///
  /// - Parameters:
  ///   - exponent: the exponent g; panels are multiplied by G·2^−g.
  ///   - longest: the length of the longest range of the streaming side that will be asked for.
  func view(of matrix: Catalog.Matrix, exponent: Int, longest: Int) throws -> SignalView {
    let entry = catalog.matrices[try ordinal(of: matrix)]
    return try SignalView(
      shards.panels(of: entry), exponent: exponent, isVector: entry.rows != matrix.rows,
      place: catalog.place(of: entry),
      elements: longest * min(matrix.rows, matrix.columns))
  }

  /// Checks that the signal of a matrix is what it was when it was first read: see ``ContentCheck/check(_:member:of:)``.
  func check(_ matrix: Catalog.Matrix, member: Int, of members: Int) throws {
    try contents.check(try ordinal(of: matrix), member: member, of: members)
  }

  /// The squared Frobenius norm ‖G‖²_F of the signal of one matrix.
  func squaredNorm(of matrix: Catalog.Matrix) throws -> Double { norms.squared[try ordinal(of: matrix)] }

  private func ordinal(of matrix: Catalog.Matrix) throws -> Int {
    guard let ordinal = ordinals[ExactName(matrix.name)] else {
      throw RunFailure(.internal, "no signal for tensor \(quoted(matrix.name))")
    }
    return ordinal
  }
}

/// Multiplies panels of scores by the signal of a matrix.
struct SignalView {
  private let source: MatrixPanels
  private let exponent: Int
  /// Whether the signal has one value for each column, not for each weight.
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
  /// The tensors of `checkpoint` that multiply the scores of `catalog`'s matrices: those of the same names, with the same parts in them.
  ///
  /// A tensor has one value for each column or for each weight, and in a stack for each expert. A tensor with one for each column counts as
  /// a matrix of one row.
  init(signals checkpoint: Checkpoint, for catalog: Catalog) throws {
    var numbers: [Int: Int] = [:]
    var shards: [Shard] = []
    let tensors = try catalog.tensors.map { weights in
      let vector = weights.content.signalVectorShape
      guard let tensor = checkpoint.tensor(named: weights.name) else {
        throw RunFailure(
          .data,
          "\(shown(checkpoint.path)) has no tensor \(quoted(weights.name)): --weight-by needs one for every weight matrix; "
            + "leave the matrix out with --exclude, or add \(vector) or \(weights.shape)")
      }
      let info = tensor.info
      let shard = checkpoint.shards[tensor.shard]
      guard info.dtype.isDecodable, !info.dtype.isEightBit, info.shape == vector || info.shape == weights.shape else {
        throw RunFailure(
          .data,
          "\(shown(shard.path)): tensor \(quoted(info.name)) is \(info.dtype.rawValue) \(info.shape), should be "
            + "floating-point \(vector) or \(weights.shape)")
      }
      let number = numbers[tensor.shard] ?? shards.count
      if number == shards.count {
        numbers[tensor.shard] = number
        shards.append(Shard(shard))
      }
      return info.shape == weights.shape
        ? Tensor(tensor, shard: number, shape: info.shape, content: weights.content.unscaled)
        : Tensor(
          tensor, shard: number, shape: (weights.content.experts.map { [$0] } ?? []) + [1, weights.content.columns],
          content: weights.content.signalVector)
    }
    try self.init(shards: shards, tensors: tensors)
  }
}

extension MatrixContent {
  /// The shape of a tensor with one value for each column of the stored matrix, and for each expert of a stack.
  var signalVectorShape: [Int] { (experts.map { [$0] } ?? []) + [columns] }

  /// The parts of such a tensor: the same columns as here, in one row.
  var signalVector: MatrixContent {
    MatrixContent(
      rows: 1, columns: columns, experts: experts,
      parts: parts.map { .init(label: $0.label, rows: .init(all: 1), columns: $0.columns) }, scale: nil)
  }

  /// The same parts of a tensor of plain numbers, which have no scales.
  var unscaled: MatrixContent {
    var plain = self
    plain.scale = nil
    return plain
  }
}
