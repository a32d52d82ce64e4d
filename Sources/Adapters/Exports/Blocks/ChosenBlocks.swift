import RunCore
import ShardIO
import Weights

/// The blocks of an export that SMT trains, by target.
struct ChosenBlocks {
  /// How a target is cut into blocks.
  let grids: [BlockGrid]
  /// The numbers of the chosen blocks of each target, ascending.
  let blocks: [[Int]]

  /// Nil if SMT is not exported.
  ///
  /// - Parameter values: what ranks the blocks of each target.
  /// - Throws: what ``count(_:_:)`` throws.
  init?(_ values: [[Double]], _ plan: ExportPlan, _ choice: ExportChoice) throws(RunFailure) {
    guard let options = choice.blocks else { return nil }
    grids = plan.targets.map { BlockGrid(rows: $0.rows, columns: $0.columns, side: options.side) }
    blocks =
      BlockChoice(
        try Self.count(plan.targets, options), of: zip(grids, values).map { BlockMeans($0, $1) }, by: options.ranking
      ).blocks
  }

  /// The number of blocks that are trained of all targets.
  ///
  /// - Throws: ``RunFailure`` if the share comes to none.
  @discardableResult
  static func count(_ targets: [ExportTarget], _ options: BlockOptions) throws(RunFailure) -> Int {
    let weights = targets.reduce(0) { $0.addingSaturated($1.rows * $1.columns) }
    let count = BlockChoice.count(ratio: options.ratio, weights: weights, side: options.side)
    guard count > 0 else {
      throw RunFailure(
        .usage,
        "--ratio \(options.ratio) of \(weights) weights comes to no block of \(options.side) × \(options.side): raise it, or choose "
          + "a smaller --block")
    }
    return count
  }

  /// The safetensors file with rows and columns of the blocks, for targets that have some.
  func file(_ plan: ExportPlan) throws -> (bytes: [UInt8], tensors: [(name: String, byteCount: Int)]) {
    let chosen = plan.targets.indices.filter { !blocks[$0].isEmpty }
    let tensors = chosen.map { Self.tensor(of: plan.targets[$0].tensor, count: blocks[$0].count) }
    let layout: ShardLayout
    do {
      layout = try ShardLayout(tensors: tensors, metadata: ["format": "pt"])
    } catch {
      throw RunFailure(.data, "the blocks do not fit a file: \(error)")
    }
    var bytes = layout.header
    for target in chosen {
      let places = blocks[target].flatMap { block in
        [block / grids[target].blockColumns, block % grids[target].blockColumns].map { Int32($0) }
      }
      places.withUnsafeBytes { bytes += $0 }
    }
    return (bytes, zip(chosen, tensors).map { ($1.name, 8 * blocks[$0].count) })
  }

  /// The tensor with the blocks of a weight.
  static func tensor(of weight: String, count: Int) -> ShardLayout.Tensor {
    ShardLayout.Tensor(name: String(weight.dropLast(".weight".count)) + ".blocks", dtype: .i32, shape: [count, 2])
  }
}
