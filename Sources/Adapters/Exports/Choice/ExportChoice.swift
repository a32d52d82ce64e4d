import FactorCache
import RunCore

/// What is asked of an export.
package struct ExportChoice: Codable, Sendable, Equatable, ShapingOptions {
  /// The methods, each once, in the order of ``ExportMethod``.
  package var methods: [ExportMethod]
  /// The number of triplets of every matrix; nil for what each method usually takes.
  @ExplicitNull package var rank: Int?
  /// The rule by which each matrix gets a rank of its own; nil if all have one.
  @ExplicitNull package var rankBy: RankRule?
  /// Whether ranks are raised to such as vLLM serves.
  package var isServeable: Bool
  /// LoRA's α; nil for the rank of each matrix.
  @ExplicitNull package var alpha: Double?
  /// The modules that get adapters.
  package var targets: TargetModules
  /// The type of singular vectors in folders that frogmask reads. PEFT's are always F32.
  package var dtype: FactorType
  /// Whether methods that change the base write an adapter of twice the rank for the unchanged one instead.
  package var keepsBase: Bool
  /// The entries of SVFT's sparse matrix.
  package var entries: SparseEntries
  /// How SMT chooses its blocks; nil without SMT.
  @ExplicitNull package var blocks: BlockOptions?
  /// The stored factors that triplets come from; nil if matrices are decomposed.
  @ExplicitNull package var factors: FactorSource?
  /// The seed of random entries and of TinyLoRA's projections.
  package var seed: UInt64

  package init(
    methods: [ExportMethod], rank: Int? = nil, rankBy: RankRule? = nil, isServeable: Bool = false,
    alpha: Double? = nil, targets: TargetModules = .allLinear, dtype: FactorType = .f32, keepsBase: Bool = false,
    entries: SparseEntries = SparseEntries(), blocks: BlockOptions? = nil, seed: UInt64 = 0
  ) {
    self.methods = Set(methods).sorted()
    (self.rank, self.rankBy, self.isServeable, self.alpha) = (rank, rankBy, isServeable, alpha)
    self.blocks = self.methods.contains(.smt) ? blocks ?? BlockOptions() : nil
    (self.targets, self.dtype, self.keepsBase, self.entries, self.seed) = (targets, dtype, keepsBase, entries, seed)
  }

  enum CodingKeys: String, CodingKey {
    case methods, rank, alpha, dtype, entries, blocks, factors, seed
    case rankBy = "rank_by"
    case isServeable = "serveable"
    case targets = "target_modules"
    case keepsBase = "keep_base"
  }

  package var words: OptionWords {
    var words = OptionWords()
    words.add("METHOD", methods.map(\.rawValue))
    words.add("--rank", rank)
    words.add("--rank-by", rankBy)
    words.add("--serveable", isServeable)
    words.add("--alpha", alpha)
    words.add("--target-modules", targets.rawValue)
    words.add("--dtype", dtype)
    words.add("--keep-base", keepsBase)
    words.add(entries.words)
    words.add((blocks ?? BlockOptions()).words)
    words.add("--factors", factors?.sha256)
    words.add("--seed", seed)
    return words
  }

  /// Whether a method needs singular triplets.
  func needsTriplets(_ method: ExportMethod) -> Bool { method != .smt || blocks?.isProxy ?? true }

  /// The bases that are written: of which methods.
  package var bases: [ExportMethod] { keepsBase ? [] : methods.filter(\.changesBase) }
}
