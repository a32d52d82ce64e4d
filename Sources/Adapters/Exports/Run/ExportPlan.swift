import DistSVD
import Execution
import FoundationEssentials
import MPI
import RunCore
import ShardIO
import SystemPackage
import Weights

/// What an export works on, as rank 0 has found it in the checkpoint. Every rank has the same.
struct ExportPlan: Codable, Sendable {
  /// The linear layers that get adapters, by ordinal.
  let targets: [ExportTarget]
  /// The weight matrices of which no layer is a linear one; nil if there are none.
  let others: LinearLayers.Others?
  /// What is copied for bases; nil if no base is written.
  let base: BaseFiles?
  /// The entries of names.json for the tensors that get adapters, as JSON.
  let names: [String: NamedParameter]
  /// The class that wrote the checkpoint, as config.json names it; nil if it names none.
  let architecture: String?
  /// Whether config.json says that the model predicts the next token.
  let isCausalModel: Bool

  /// The plan of rank 0, on every rank.
  ///
  /// Collective: every rank calls it.
  init(
    _ checkpoints: LoadedCheckpoints, _ choice: ExportChoice, out: FilePath, world: Communicator
  ) throws {
    let text = try world.fromRoot {
      Array(try JSONEncoder().encode(ExportPlan(checkpoints.classified[0], checkpoints.catalogs[0], choice, out: out)))
    }
    self = try JSONDecoder().decode(Self.self, from: Data(text))
  }

  /// Finds the plan in a checkpoint.
  ///
  /// - Parameter out: the output folder; nil if there is none.
  /// - Throws: ``RunFailure`` if no adapter can be made of a matrix, or nothing is named.
  init(_ classified: ClassifiedCheckpoint, _ catalog: Catalog, _ choice: ExportChoice, out: FilePath?) throws {
    let layers = LinearLayers(classified, catalog)
    targets = try layers.chosen(by: choice.targets)
    others = layers.counted
    try Self.check(targets, of: catalog, choice)
    base = try choice.bases.isEmpty ? nil : BaseFiles(classified.checkpoint, out: out)
    names = NamedParameter.entries(of: layers.names, for: Set(targets.map { ExactName($0.tensor) }))
    architecture = classified.config.architecture
    isCausalModel = architecture.map { $0.hasSuffix("ForCausalLM") || $0.hasSuffix("LMHeadModel") } ?? false
  }
}

extension ExportPlan {
  /// Refuses what no adapter can be made of.
  private static func check(_ targets: [ExportTarget], of catalog: Catalog, _ choice: ExportChoice) throws {
    if let method = choice.methods.first(where: { targets.allSatisfy($0.leavesOut) }), let first = targets.first {
      throw RunFailure(
        .usage,
        "\(method.rawValue) has no module: PEFT takes the name of \(quoted(first.module)) for that of experts; choose other "
          + "--target-modules, or leave out \(method.rawValue)")
    }
    if let blocks = choice.blocks { try ChosenBlocks.count(targets, blocks) }
    for target in targets {
      let matrix = catalog.matrices[target.ordinal]
      let place = catalog.place(of: matrix)
      if let rank = choice.rank, choice.rankBy == nil, rank > target.order {
        throw RunFailure(
          .usage,
          "\(place), [\(target.rows), \(target.columns)], has no more than \(target.order) singular values: ask for a --rank of at most "
            + "that, or leave it out of --target-modules")
      }
      if let first = choice.bases.first, ![.f64, .f32, .bf16, .f16].contains(matrix.dtype) {
        throw RunFailure(
          .usage,
          "\(place) is stored as \(matrix.dtype.rawValue), and the base of \(first.rawValue) cannot be: dequantize the checkpoint, or use --keep-base"
        )
      }
      if choice.methods.contains(.svft), choice.entries.topKRule == .paper, target.rows != target.columns {
        throw RunFailure(
          .usage,
          "\(place), [\(target.rows), \(target.columns)], is not square, and the paper's rule for top-k needs that: use --top-k-rule repo"
        )
      }
    }
  }

  /// The ranks of the targets, by method, where no rule asks for singular values: what was asked for, or what the method usually takes.
  func ranks(_ choice: ExportChoice) -> ExportRanks {
    ExportRanks(
      choice.methods.map { method in
        targets.map { target in
          min(target.order, method.usualRank.map { choice.rank ?? $0 } ?? target.order)
        }
      })
  }
}

/// The number of triplets of every target, by the position of the method and of the target.
struct ExportRanks: Sendable {
  private let ranks: [[Int]]

  init(_ ranks: [[Int]]) { self.ranks = ranks }

  /// Ranks that a rule has found for each target. Methods that take all triplets still do.
  init(_ found: [Int], _ choice: ExportChoice, _ targets: [ExportTarget]) {
    ranks = choice.methods.map { method in
      zip(found, targets).map { rank, target in
        guard method.usualRank != nil else { return target.order }
        let raised = choice.isServeable ? RankRule.serveable(from: rank) ?? rank : rank
        return min(raised, target.order)
      }
    }
  }

  subscript(method: Int, target: Int) -> Int { ranks[method][target] }
}
