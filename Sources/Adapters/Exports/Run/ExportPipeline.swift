import DistSVD
import Execution
import FactorCache
import MPI
import Planning
import RunCore
import ShardIO
import Spectra
import SystemPackage
import Weights

extension FactorFolder {
  /// Refuses factors that hold fewer triplets of a target than the methods need.
  fileprivate func require(
    _ plan: ExportPlan, _ ranks: ExportRanks?, _ choice: ExportChoice, of catalog: Catalog
  ) throws(RunFailure) {
    for (number, method) in choice.methods.enumerated() where choice.needsTriplets(method) {
      var needed: [ExactName: Int] = [:]
      for (index, target) in plan.targets.enumerated() {
        // Without ranks all singular values decide them.
        let triplets = ranks.map { method.triplets(rank: $0[number, index]) } ?? .all
        needed[ExactName(target.tensor)] = triplets.positions(order: target.order).upperBound
      }
      try require(of: catalog, for: "\(method.rawValue) needs") { needed[ExactName($0.name)] ?? 0 }
    }
  }
}

/// The stages of `export`, in order: checkpoint → targets → plan → room on the disk → norms → ranks → copies of bases → adapters →
/// hashes → records.
///
/// ``CommandRun`` runs them.
package struct ExportPipeline: MatrixCommand {
  package static let kind = ExportFiles.kind
  /// The name of the stage that decomposes matrices.
  static let matrixStage = "triplets"

  private let choice: ExportChoice
  /// The folder of stored factors; nil to decompose every matrix.
  private let factors: FilePath?
  /// The checkpoint of gradients that rank SMT's blocks; nil for none.
  private let gradients: FilePath?
  package let options: RunOptions

  /// - Parameters:
  ///   - factors: the folder of stored factors that triplets come from; nil to decompose every matrix.
  ///   - gradients: the checkpoint of gradients that rank SMT's blocks; nil for none.
  package init(_ options: RunOptions, _ choice: ExportChoice, factors: FilePath? = nil, gradients: FilePath? = nil) {
    self.gradients = gradients
    self.options = options
    self.choice = choice
    self.factors = factors
  }

  /// What the headers decide.
  package struct Preparation {
    let plan: ExportPlan
    /// The ranks; nil if a rule finds them by singular values.
    let ranks: ExportRanks?
    /// The stored factors; nil if every matrix is decomposed.
    let factors: FactorFolder?
    /// The gradients, once they are read; nil if there are none.
    var gradients: GradientSource?
  }

  /// Chooses the matrices, and refuses what does not fit in memory or on the disk.
  package func prepare(
    _ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext
  ) throws -> Preparation {
    let (catalog, world) = (checkpoints.catalogs[0], context.world)
    let plan = try ExportPlan(checkpoints, choice, out: options.output.path, world: world)
    let ranks = choice.rankBy == nil ? plan.ranks(choice) : nil
    let folder = try factors.map { try FactorFolder.open($0, for: catalog, io: options.io, world: world) }
    try folder?.require(plan, ranks, choice, of: catalog)
    let matrices = plan.targets.map { catalog.matrices[$0.ordinal] }
    _ = try planner.schedule(matrices, ExportWork(choice, ranks, plan, isStored: folder != nil))
    // Where a rule will find ranks, no less than rank 1 is known to be written.
    let least = ranks ?? ExportRanks(plan.targets.map { _ in 1 }, choice, plan.targets)
    let layout = try world.agreeing { try ExportLayout(plan, least, choice, catalog) }
    try world.agreeing {
      // An unfinished run has made files for the ranks that it has found.
      guard world.isRoot, try ranks != nil || !Folder.exists(options.output.path.appending(OutputDirectory.workName))
      else { return }
      try checkRoom(for: layout, plan)
    }
    if world.isRoot { warn(of: ranks, plan, in: context) }
    return Preparation(plan: plan, ranks: ranks, factors: folder)
  }

  package func words(
    _ preparation: inout Preparation, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) throws -> OptionWords {
    try preparation.factors?.check(inputs[0].norms)
    preparation.gradients = try gradients.map {
      let catalog = inputs[0].catalog
      return try GradientSource.load(
        $0, for: preparation.plan.targets.map { catalog.matrices[$0.ordinal] }, of: catalog, io: options.io,
        world: context.world)
    }
    return parameters(preparation, threads: threads).words
  }

  package func work(_ preparation: Preparation, _ run: BegunRun) throws -> FinishedWork<ExportRecord> {
    let (context, input, plan) = (run.context, run.inputs[0], preparation.plan)
    let (world, targets) = (context.world, input.restricted(to: plan.targets.map(\.ordinal)))
    let source = TripletSource(factors: preparation.factors, ordinals: plan.targets.map(\.ordinal))
    try run.checkContents(of: source.factors)
    var totals = StageTotals(written: (0, .zero), resumed: 0, rescued: [:])
    // 1. Ranks, where singular values decide them.
    let ranks: ExportRanks
    if let known = preparation.ranks {
      ranks = known
    } else {
      let (found, spent) = try self.ranks(of: targets, plan, source, in: run)
      ranks = found
      totals.add(preparing: spent)
    }
    let layout = try world.agreeing { try ExportLayout(plan, ranks, choice, input.catalog) }
    // 2. Files at their full size, or those of an earlier process, and what bases have in common with the checkpoint.
    let files = layout.placed(in: run.output.work)
    try world.agreeing { if world.isRoot { try checkRoom(for: layout, plan) } }
    try files.make(on: world)
    let copies = layout.copies()
    if !copies.isEmpty {
      try context.stage("copies") { try BaseCopy(copies, into: files).run(in: context, stage: "copies") }
    }
    // 3. The adapters of every matrix, each written in its place, and the bases without them.
    let measurement = ExportMeasurement(
      choice: choice, layout: layout, files: files, source: source, gradients: preparation.gradients)
    let outcome = try MatrixStage(Self.matrixStage, of: measurement, over: [targets]).run(
      ExportWork(choice, ranks, plan, isStored: source.factors != nil), in: run)
    var written = outcome.totals
    written.add(preparing: totals)
    // 4. What vouches for them.
    let recorded = try context.stage("hashes") { try files.recorded(on: world, context.watch) }
    let parameters = parameters(preparation, threads: run.threads)
    let blocks = try ChosenBlocks(outcome.rows.map(\.blocks), plan, parameters.own)
    let documents = ExportDocuments(
      plan: plan, blocks: blocks, ranks: ranks, choice: parameters.own, layout: layout, recorded: recorded,
      catalog: input.catalog,
      source: CheckpointSource(input.catalog, input.norms), version: context.version)
    let published = try world.agreeing {
      world.isRoot ? try documents.write(to: run.output.work) : (files: [], recorded: [:])
    }
    let record = ExportRecord(
      input.catalog, plan, outcome.rows, blocks, norms: input.norms, version: context.version,
      parameters: parameters, files: published.recorded)
    return FinishedWork(record, files: published.files, totals: written) {
      [.init(name: ExportFiles.recordName, content: try Document.encode(record))]
    }
  }

  package func product(in path: FilePath, world: Communicator) throws -> ExportRecord {
    try ExportFiles.decode(world.fromRoot { try ExportFiles.read(in: path).text }, in: path)
  }

  /// Finds the ranks of all targets by their singular values.
  private func ranks(
    of targets: MatrixInput, _ plan: ExportPlan, _ source: TripletSource, in run: BegunRun
  ) throws -> (ExportRanks, StageTotals) {
    guard let rule = choice.rankBy else { throw RunFailure(.internal, "no rule for ranks") }
    let usual = choice.rank ?? choice.methods.compactMap(\.usualRank).max() ?? 1
    let outcome = try MatrixStage(
      "ranks", of: RankMeasurement(rule: rule, usual: usual, source: source), over: [targets]
    )
    .run(SpectrumWork(), in: run)
    return (ExportRanks(outcome.rows.map(\.rank), choice, plan.targets), outcome.totals)
  }

  /// Says what gets no adapter, where matrices are too small for the usual rank, and what a method leaves out.
  ///
  /// - Parameter ranks: nil if a rule will find them.
  private func warn(of ranks: ExportRanks?, _ plan: ExportPlan, in context: RunContext) {
    if choice.targets == .allLinear, let others = plan.others {
      context.warn(
        "\(others.count) matrices get no adapter, such as \(quoted(others.module)): \(others.reason)")
    }
    for (number, method) in choice.methods.enumerated() {
      if let ranks, let usual = method.usualRank, choice.rank == nil {
        let smaller = plan.targets.indices.count { ranks[number, $0] < usual }
        if smaller > 0 {
          context.warn(
            "\(method.rawValue): \(smaller) of \(plan.targets.count) matrices have fewer than \(usual) singular values, and take all they have"
          )
        }
      }
      let leftOut = plan.targets.filter(method.leavesOut)
      if let first = leftOut.first {
        context.warn(
          "\(method.rawValue) leaves out \(leftOut.count) of \(plan.targets.count) modules, such as \(quoted(first.module)): PEFT takes their names for those of experts"
        )
      }
    }
  }

  /// Refuses a run whose files would not fit where they go. What an earlier process of the run has made counts.
  private func checkRoom(for layout: ExportLayout, _ plan: ExportPlan) throws {
    let out = options.output.path
    let work = out.appending(OutputDirectory.workName)
    let large = try Folder.exists(work) ? layout.placed(in: work).missingBytes() : layout.bytes
    let copies = (plan.base?.others ?? []).reduce(0) { $0.addingSaturated($1.size) }
    let needed = choice.bases.reduce(large) { sum, _ in sum.addingSaturated(copies) }
    try PlacedFiles.checkRoom(for: needed, in: out, "the export takes", orElse: "export less at a time")
  }

  private func parameters(_ preparation: Preparation, threads: Int) -> RunParameters<ExportChoice> {
    var choice = choice
    choice.factors = preparation.factors?.source
    choice.blocks?.gradients = preparation.gradients?.fingerprint
    return .init(choice, TensorParameters(options.tensors, threads: threads))
  }
}
