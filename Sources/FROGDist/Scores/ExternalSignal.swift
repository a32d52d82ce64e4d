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
      Array(
        try JSONEncoder().encode(
          Catalog(
            signals: Checkpoint.open(path, io: io), for: catalog.tensors, option: "--weight-by", allowsVectors: true)))
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
