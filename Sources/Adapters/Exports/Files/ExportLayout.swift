import DistSVD
import FactorCache
import RunCore
import ShardIO
import SystemPackage
import Weights

/// The files of an export, and the place of every byte that belongs to a matrix.
///
/// Invariant: all ranks compute the same layout, and the places of two matrices never overlap. So ranks write without asking each other.
struct ExportLayout: Sendable {
  /// A large file.
  struct File: Sendable {
    let method: ExportMethod
    /// The folder in the output folder.
    let folder: String
    let name: String
    let size: Int
    let header: [UInt8]
    /// The names and sizes of its tensors, for an index; empty for a shard of a base.
    let tensors: [(name: String, byteCount: Int)]
    /// The shard of the checkpoint that it is a copy of; nil for an adapter.
    let source: BaseFiles.File?
  }

  /// Matrices of one method that get their triplets from one decomposition.
  struct Part: Sendable {
    let method: ExportMethod
    let form: AdapterForm
    /// The place of each tensor of the form.
    let places: [PlacedFiles.Place]
    /// The place of the remaining weights in the base; nil if the base is not changed.
    let base: PlacedFiles.Place?
  }

  let files: [File]
  /// What each target's triplets are for, by the position of the target: first by the triplets, then in the order of methods.
  let parts: [[(triplets: Triplets, parts: [Part])]]

  init(_ plan: ExportPlan, _ ranks: ExportRanks, _ choice: ExportChoice, _ catalog: Catalog) throws(RunFailure) {
    var builder = Builder(plan: plan, choice: choice, catalog: catalog)
    for (number, method) in choice.methods.enumerated() {
      try builder.add(method, ranks: plan.targets.indices.map { ranks[number, $0] })
    }
    files = builder.files
    parts = builder.parts.map { parts in
      var groups: [(triplets: Triplets, parts: [Part])] = []
      for (triplets, part) in parts {
        if let index = groups.firstIndex(where: { $0.triplets == triplets }) {
          groups[index].parts.append(part)
        } else {
          groups.append((triplets, [part]))
        }
      }
      return groups
    }
  }

  /// The files as they lie in a work folder, under names that say nothing.
  func placed(in folder: FilePath) -> PlacedFiles {
    PlacedFiles(
      files: files.enumerated().map { PlacedFiles.File(name: Self.workName($0), size: $1.size, header: $1.header) },
      folder: folder)
  }

  /// The name of a file in the work folder.
  static func workName(_ number: Int) -> String { "export-\(number).part" }

  /// The bytes of all files.
  var bytes: Int { files.reduce(0) { $0.addingSaturated($1.size) } }

  /// The places of everything about a target, in the order in which it is written.
  func places(of target: Int) -> [PlacedFiles.Place] {
    parts[target].flatMap(\.parts).flatMap { $0.places + ($0.base.map { [$0] } ?? []) }
  }

  /// What is copied for the bases: each shard, its copy, and the ranges that are not copied.
  func copies() -> [(shard: BaseFiles.File, file: Int, changed: [Range<Int>])] {
    var changed = [[Range<Int>]](repeating: [], count: files.count)
    for part in parts.flatMap({ $0 }).flatMap(\.parts) {
      if let base = part.base { changed[base.file].append(base.range) }
    }
    return files.indices.compactMap { number in
      files[number].source.map {
        ($0, number, changed[number].sorted { $0.lowerBound < $1.lowerBound })
      }
    }
  }
}

/// Lays out the files of one method after the other.
private struct Builder {
  let plan: ExportPlan
  let choice: ExportChoice
  let catalog: Catalog
  private(set) var files: [ExportLayout.File] = []
  private(set) var parts: [[(triplets: Triplets, part: ExportLayout.Part)]]

  init(plan: ExportPlan, choice: ExportChoice, catalog: Catalog) {
    (self.plan, self.choice, self.catalog) = (plan, choice, catalog)
    parts = plan.targets.map { _ in [] }
  }

  mutating func add(_ method: ExportMethod, ranks: [Int]) throws(RunFailure) {
    guard choice.needsTriplets(method) else { return }
    let hasBase = choice.bases.contains(method)
    let largest = ranks.max() ?? 1
    let forms = zip(plan.targets, ranks).map { target, rank in
      method.form(
        MethodTarget(
          target: target, rank: rank, largestRank: largest, scale: choice.alpha.map { $0 / Double(largest) } ?? 1,
          keepsBase: choice.keepsBase, dtype: choice.dtype.stored), choice.entries)
    }
    // 1. The adapter: one file for PEFT, or as many as there are shards with targets. SMT's blocks are chosen later.
    let shardOfTarget = plan.targets.map { method.isForPEFT ? 0 : catalog.matrices[$0.ordinal].shard }
    let shards = method == .smt ? [] : Set(shardOfTarget).sorted()
    var places = [[PlacedFiles.Place]](repeating: [], count: plan.targets.count)
    for (number, shard) in shards.enumerated() {
      let own = plan.targets.indices.filter { shardOfTarget[$0] == shard }
      let common = method == .tinylora ? own.indices.map(TinyLoRA.values) : []
      let tensors = own.flatMap { forms[$0].tensors.map(\.layout) } + common
      let layout: ShardLayout
      do {
        layout = try ShardLayout(tensors: tensors, metadata: ["format": "pt"])
      } catch {
        throw RunFailure(.data, "the adapters of \(method.rawValue) do not fit a file: \(error)")
      }
      func place(_ tensor: TripletTensor) -> PlacedFiles.Place? {
        layout.byteRange(of: tensor.name).map { PlacedFiles.Place(file: files.count, range: $0) }
      }
      for target in own { places[target] = forms[target].tensors.compactMap(place) }
      files.append(
        ExportLayout.File(
          method: method, folder: ExportFiles.adapterFolder(of: method, hasBase: hasBase),
          name: method.isForPEFT
            ? ExportFiles.adapterModelName : ExportFiles.adapterShardName(number + 1, of: shards.count),
          size: layout.fileSize, header: layout.header,
          tensors: tensors.map { ($0.name, layout.byteRange(of: $0.name)?.count ?? 0) }, source: nil))
    }
    // 2. The base: the shards of the checkpoint.
    var copyOfShard: [String: Int] = [:]
    if hasBase, let base = plan.base {
      for shard in base.shards {
        copyOfShard[shard.name] = files.count
        files.append(
          ExportLayout.File(
            method: method, folder: method.rawValue, name: shard.name, size: shard.size, header: [], tensors: [],
            source: shard))
      }
    }
    for (index, target) in plan.targets.enumerated() where !method.leavesOut(target) {
      let matrix = catalog.matrices[target.ordinal]
      let copy = forms[index].taken == nil ? nil : copyOfShard[catalog.shards[matrix.shard].fileName]
      parts[index].append(
        (
          method.triplets(rank: ranks[index]),
          ExportLayout.Part(
            method: method, form: forms[index], places: places[index],
            base: copy.map { PlacedFiles.Place(file: $0, range: matrix.offset..<matrix.offset + matrix.byteCount) })
        ))
    }
  }
}
