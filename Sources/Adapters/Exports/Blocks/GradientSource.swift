import DistSVD
import Execution
import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage
import Weights

/// Gradients of the targets, which rank SMT's blocks: a tensor of the checkpoint's name and shape for each.
final class GradientSource {
  private let catalog: Catalog
  private let ordinals: [ExactName: Int]
  private let shards: OpenShards
  private let contents: ContentCheck
  /// The fingerprint of all values, with names, types and shapes of the tensors.
  let fingerprint: String

  private init(_ catalog: Catalog, shards: OpenShards, norms: Norms) {
    self.catalog = catalog
    self.shards = shards
    ordinals = Dictionary(
      catalog.matrices.enumerated().map { (ExactName($1.name), $0) }, uniquingKeysWith: { first, _ in first })
    contents = ContentCheck(catalog, norms: norms, shards: shards)
    fingerprint = norms.fingerprint
  }

  /// Finds the gradients of some matrices, and reads all their values once.
  ///
  /// Collective: every rank calls it.
  ///
  /// - Throws: ``RunFailure`` if a matrix has none, or one of another shape or type, or if a value is NaN or infinite.
  static func load(
    _ path: FilePath, for matrices: [Catalog.Matrix], of catalog: Catalog, io: SourceKind, world: Communicator
  ) throws -> GradientSource {
    let tensors = matrices.map { catalog.tensors[$0.tensor] }
    let bytes = try world.fromRoot {
      Array(
        try JSONEncoder().encode(
          Catalog(
            signals: Checkpoint.open(path, io: io), for: tensors, option: "--gradients", allowsVectors: false)))
    }
    let gradients = try JSONDecoder().decode(Catalog.self, from: Data(bytes))
    let shards = OpenShards(gradients, io: io)
    return GradientSource(
      gradients, shards: shards, norms: try Norms.measure(gradients, shards: shards, world: world) { _ in })
  }

  /// Ranks the blocks of a matrix, and checks that its gradient is what it was when it was first read.
  func blocks(of matrix: Catalog.Matrix, _ options: BlockOptions) throws -> BlockMeans {
    guard let ordinal = ordinals[ExactName(matrix.name)] else {
      throw RunFailure(.internal, "no gradient of tensor \(quoted(matrix.name))")
    }
    let entry = catalog.matrices[ordinal]
    let means = try BlockMeans(
      of: shards.panels(of: entry), catalog.place(of: entry), side: options.side, by: options.rule)
    try contents.check(ordinal, member: 0, of: 1)
    return means
  }
}

extension BlockMeans {
  /// The means of FROG scores over blocks, from all singular triplets.
  ///
  /// S_ij = Σ_k σ_k|u_ik||v_jk|, so its mean over a block is Σ_k σ_k·ū_k·v̄_k, with the means of |u_k| and |v_k| over the rows and columns of
  /// the block. No score is computed.
  ///
  /// - Complexity: 2·b·p operations for b blocks, and one pass over the vectors.
  init(scoresOf triplets: SingularTriplets, rows: Int, columns: Int, side: Int) {
    let grid = BlockGrid(rows: rows, columns: columns, side: side)
    let left = (0..<grid.blockRows).map { grid.rows(ofBlockRow: $0) }
    let right = (0..<grid.blockColumns).map { grid.columns(ofBlockColumn: $0) }
    var values = [Double](repeating: 0, count: grid.count)
    for k in 0..<triplets.count {
      func means(_ ranges: [Range<Int>], _ column: (Int) -> Float) -> [Double] {
        ranges.map { range in range.reduce(0.0) { $0 + Double(abs(column($1))) } / Double(range.count) }
      }
      let u = means(left) { triplets.left.elements[k * rows + $0] }
      let v = means(right) { triplets.right.elements[k * columns + $0] }
      for row in u.indices {
        let scaled = triplets.values[k] * u[row]
        for column in v.indices { values[row * grid.blockColumns + column] += scaled * v[column] }
      }
    }
    self.init(grid, values)
  }
}
