import Adapters
import ArgumentParser
import FactorCache

/// The options that say what is exported of every matrix.
struct ExportArguments: ParsableArguments {
  @OptionGroup var work: ExportWorkOptions

  @Option(
    help: ArgumentHelp(
      """
      The number of singular triplets of each matrix; not of svft, which takes all. (default: \
      \(ExportMethod.allCases.compactMap { method in method.usualRank.map { "\(method.rawValue) \($0)" } }.joined(separator: ", ")))
      """, valueName: "r"))
  var rank: Int?

  @Option(
    help: ArgumentHelp(
      """
      Give each matrix a rank of its own: energy:0.9 takes as many triplets as hold 90% of ‖W‖²; stable-rank takes ‖W‖² ÷ σ₁²; alpha \
      takes --rank times 0.7 to 1.4, by the power law of the spectrum.
      """, valueName: "energy:share|stable-rank|alpha"))
  var rankBy: RankRule?

  @Flag(
    help: ArgumentHelp(
      "With --rank-by, raise ranks to the next that vLLM serves: \(RankRule.serveable.map(String.init).joined(separator: ", "))."
    ))
  var serveable = false

  @Option(
    help: ArgumentHelp(
      "LoRA's α of the largest rank; α ÷ rank is the same for all matrices. Of pissa, milora, mica and lora-xs. (default: the rank)",
      valueName: "α"))
  var alpha: Double?

  @Option(
    help: "The type of singular vectors for frogmask: f32 or bf16. What PEFT loads is always f32. (default: f32)")
  var dtype: FactorType?

  @Option(
    help: """
      What --pattern top-k ranks entries by: paper is u·v, for square matrices; repo is the authors' program, for all. (default: paper)
      """)
  var topKRule: SparseEntries.TopKRule?

  @Option(
    help: ArgumentHelp(
      "The gradients that choose SMT's blocks: a checkpoint with a tensor of every target's name and shape, as `frogmask signals` writes it.",
      valueName: "dir"))
  var gradients: String?

  @Flag(help: "Choose SMT's blocks by the mean of FROG scores, which stand for gradients that are not known.")
  var proxy = false

  @Option(help: ArgumentHelp("The rows and columns of SMT's blocks. (default: 256)", valueName: "size"))
  var block: Int?

  @Option(
    help: ArgumentHelp("The share of the targets' weights that SMT trains. (default: 0.0084)", valueName: "share"))
  var ratio: Double?

  @Option(
    help:
      "What ranks SMT's blocks: paper is the mean of |G|; repo, the authors' program, is the magnitude of the mean of G. (default: paper)"
  )
  var blockRule: BlockRule?

  @Option(
    help:
      "Whether SMT's blocks compete across the model or each matrix gets its share: global or matrix. (default: global)"
  )
  var blockRanking: BlockRanking?

  @Option(
    help: ArgumentHelp(
      "The seed of --pattern random and of tinylora's projections. (default: 0)", valueName: "number"))
  var seed: UInt64?

  /// Refuses options that these methods do not have, and values that make no sense.
  func validate(for methods: [ExportMethod]) throws {
    func need(_ option: String, _ isGiven: Bool, _ owners: [ExportMethod]) throws {
      try Self.need(option, isGiven, owners, of: methods)
    }
    try work.validate(for: methods)
    for (option, isGiven) in [
      ("--gradients", gradients != nil), ("--proxy", proxy), ("--block", block != nil), ("--ratio", ratio != nil),
      ("--block-rule", blockRule != nil), ("--block-ranking", blockRanking != nil),
    ] { try need(option, isGiven, [.smt]) }
    if methods.contains(.smt), (gradients == nil) != proxy {
      throw ValidationError("smt needs --gradients, or --proxy to choose blocks by FROG scores")
    }
    if proxy, blockRule != nil { throw ValidationError("--block-rule is for gradients: scores have one sign") }
    if let block, !(1...BlockOptions.largestSide).contains(block) {
      throw ValidationError("--block must be between 1 and \(BlockOptions.largestSide)")
    }
    if let ratio, !(ratio > 0 && ratio <= 1) { throw ValidationError("--ratio must be above 0 and at most 1") }
    let ranked = ExportMethod.allCases.filter { $0.usualRank != nil }
    let leading = ranked.filter { $0 != .milora && $0 != .mica && $0 != .tinylora }
    try need("--rank", rank != nil, ranked)
    try need("--rank-by", rankBy != nil, leading)
    if rankBy != nil, let other = methods.first(where: { ranked.contains($0) && !leading.contains($0) }) {
      throw ValidationError(
        other == .tinylora
          ? "--rank-by is not for tinylora, of which PEFT knows one rank"
          : "--rank-by counts leading triplets, and \(other.rawValue) takes trailing ones")
    }
    if rank != nil, let rankBy, rankBy != .alpha {
      throw ValidationError("--rank is given by --rank-by \(rankBy.rawValue)")
    }
    if rankBy == .alpha, rank == nil, Set(methods.compactMap(\.usualRank)).count > 1 {
      throw ValidationError(
        "--rank-by alpha multiplies --rank, of which these methods have different defaults: give one")
    }
    if serveable, rankBy == nil { throw ValidationError("--serveable belongs to --rank-by") }
    try need("--alpha", alpha != nil, [.pissa, .milora, .mica, .loraXS])
    try need("--dtype", dtype != nil, ExportMethod.allCases.filter { !$0.isForPEFT })
    try need("--top-k-rule", topKRule != nil, [.svft])
    if seed != nil, work.pattern != .random { try need("--seed without --pattern random", true, [.tinylora]) }
    if topKRule != nil, work.pattern != .topK { throw ValidationError("--top-k-rule belongs to --pattern top-k") }
    if let rank, !(1...1 << 20).contains(rank) { throw ValidationError("--rank must be at least 1") }
    if let alpha, !(alpha > 0 && alpha.isFinite) { throw ValidationError("--alpha must be above 0") }
  }

  /// Refuses an option that none of the methods has.
  static func need(_ option: String, _ isGiven: Bool, _ owners: [ExportMethod], of methods: [ExportMethod]) throws {
    if isGiven, Set(methods).isDisjoint(with: owners) {
      throw ValidationError("\(option) belongs to \(owners.map(\.rawValue).joined(separator: ", "))")
    }
  }

  func choice(_ methods: [ExportMethod]) -> ExportChoice {
    var choice = work.choice(methods, rank: rank, dtype: dtype)
    (choice.rankBy, choice.isServeable, choice.alpha, choice.seed) = (rankBy, serveable, alpha, seed ?? 0)
    if methods.contains(.smt) {
      choice.blocks = BlockOptions(
        side: block ?? 256, ratio: ratio ?? 0.0084, rule: blockRule ?? .meanOfMagnitudes,
        ranking: blockRanking ?? .global, isProxy: proxy)
    }
    if work.pattern == .topK { choice.entries.topKRule = topKRule ?? .paper }
    return choice
  }
}

/// The options of an export that decide what it costs, which `plan` has too.
struct ExportWorkOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The modules that get adapters, as PEFT names them: names with commas between, which the paths of modules end in; a regular \
      expression for whole paths; or all-linear. (default: all-linear)
      """, valueName: "names|regex|all-linear"))
  var targetModules: TargetModules?

  @Flag(
    help: """
      Leave the base as it is, and write an adapter of twice the rank that starts at zero. Of pissa, milora and spectral-additive.
      """)
  var keepBase = false

  @Option(
    help: """
      Where SVFT's sparse matrix has entries: plain is the diagonal, banded adds --diagonals on each side, random and top-k have as many \
      entries elsewhere. (default: banded)
      """)
  var pattern: SparseEntries.Pattern?

  @Option(help: ArgumentHelp("The diagonals on each side of SVFT's sparse matrix. (default: 16)", valueName: "d"))
  var diagonals: Int?

  /// The names of the options that were given.
  var given: [String] {
    [
      targetModules == nil ? nil : "--target-modules", keepBase ? "--keep-base" : nil,
      pattern == nil ? nil : "--pattern",
      diagonals == nil ? nil : "--diagonals",
    ].compactMap { $0 }
  }

  /// Refuses options that these methods do not have, and values that make no sense.
  func validate(for methods: [ExportMethod]) throws {
    try ExportArguments.need("--keep-base", keepBase, ExportMethod.allCases.filter(\.changesBase), of: methods)
    try ExportArguments.need("--pattern", pattern != nil, [.svft], of: methods)
    try ExportArguments.need("--diagonals", diagonals != nil, [.svft], of: methods)
    if diagonals != nil, pattern == .plain { throw ValidationError("--pattern plain has no --diagonals") }
    if let diagonals, !(0...SparseEntries.mostDiagonals).contains(diagonals) {
      throw ValidationError("--diagonals must be between 0 and \(SparseEntries.mostDiagonals)")
    }
  }

  /// What is asked for, as far as these options say.
  func choice(_ methods: [ExportMethod], rank: Int?, dtype: FactorType?) -> ExportChoice {
    ExportChoice(
      methods: methods, rank: rank, targets: targetModules ?? .allLinear, dtype: dtype ?? .f32, keepsBase: keepBase,
      entries: SparseEntries(pattern ?? .banded, diagonals: diagonals ?? 16))
  }
}

extension TargetModules: ExpressibleByArgument {}
extension BlockRule: ExpressibleByArgument {}
extension BlockRanking: ExpressibleByArgument {}
extension RankRule: ExpressibleByArgument {}
extension SparseEntries.Pattern: ExpressibleByArgument {}
extension SparseEntries.TopKRule: ExpressibleByArgument {}
