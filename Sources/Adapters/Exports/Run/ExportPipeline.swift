import DistSVD
import Execution
import MPI
import Planning
import RunCore
import ShardIO
import Spectra
import SystemPackage
import Weights

/// The stages of `export`, in order: checkpoint → targets → plan → room on the disk → norms → ranks → copies of bases → adapters →
/// hashes → records.
///
/// ``CommandRun`` runs them.
package struct ExportPipeline: MatrixCommand {
  package static let kind = ExportFiles.kind
  /// The name of the stage that decomposes matrices.
  static let matrixStage = "triplets"

  private let choice: ExportChoice
  package let options: RunOptions

  package init(_ options: RunOptions, _ choice: ExportChoice) {
    self.options = options
    self.choice = choice
  }

  /// What the headers decide.
  package struct Preparation {
    let plan: ExportPlan
    /// The ranks; nil if a rule finds them by singular values.
    let ranks: ExportRanks?
  }

  /// Chooses the matrices, and refuses what does not fit in memory or on the disk.
  package func prepare(
    _ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext
  ) throws -> Preparation {
    let (catalog, world) = (checkpoints.catalogs[0], context.world)
    let plan = try ExportPlan(checkpoints, choice, out: options.output.path, world: world)
    let ranks = choice.rankBy == nil ? plan.ranks(choice) : nil
    let matrices = plan.targets.map { catalog.matrices[$0.ordinal] }
    _ = try planner.schedule(matrices, ExportWork(choice, ranks, plan))
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
    return Preparation(plan: plan, ranks: ranks)
  }

  package func words(
    _ preparation: inout Preparation, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) -> OptionWords {
    parameters(threads: threads).words
  }

  package func work(_ preparation: Preparation, _ run: BegunRun) throws -> FinishedWork<ExportRecord> {
    let (context, input, plan) = (run.context, run.inputs[0], preparation.plan)
    let (world, targets) = (context.world, input.restricted(to: plan.targets.map(\.ordinal)))
    var totals = StageTotals(written: (0, .zero), resumed: 0, rescued: [:])
    // 1. Ranks, where singular values decide them.
    let ranks: ExportRanks
    if let known = preparation.ranks {
      ranks = known
    } else {
      let (found, spent) = try self.ranks(of: targets, plan, in: run)
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
    let measurement = ExportMeasurement(choice: choice, layout: layout, files: files)
    let outcome = try MatrixStage(Self.matrixStage, of: measurement, over: [targets]).run(
      ExportWork(choice, ranks, plan), in: run)
    var written = outcome.totals
    written.add(preparing: totals)
    // 4. What vouches for them.
    let recorded = try context.stage("hashes") { try files.recorded(on: world, context.watch) }
    let documents = ExportDocuments(
      plan: plan, ranks: ranks, choice: choice, layout: layout, recorded: recorded, catalog: input.catalog,
      source: CheckpointSource(input.catalog, input.norms), version: context.version)
    let published = try world.agreeing {
      world.isRoot ? try documents.write(to: run.output.work) : (files: [], recorded: [:])
    }
    let record = ExportRecord(
      input.catalog, plan, outcome.rows, norms: input.norms, version: context.version,
      parameters: parameters(threads: run.threads), files: published.recorded)
    return FinishedWork(record, files: published.files, totals: written) {
      [.init(name: ExportFiles.recordName, content: try Document.encode(record))]
    }
  }

  package func product(in path: FilePath, world: Communicator) throws -> ExportRecord {
    try ExportFiles.decode(world.fromRoot { try ExportFiles.read(in: path).text }, in: path)
  }

  /// Finds the ranks of all targets by their singular values.
  private func ranks(
    of targets: MatrixInput, _ plan: ExportPlan, in run: BegunRun
  ) throws -> (ExportRanks, StageTotals) {
    guard let rule = choice.rankBy else { throw RunFailure(.internal, "no rule for ranks") }
    let usual = choice.rank ?? choice.methods.compactMap(\.usualRank).max() ?? 1
    let outcome = try MatrixStage("ranks", of: RankMeasurement(rule: rule, usual: usual), over: [targets])
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
    // Where the system does not tell, reserving the space will.
    guard let space = try? FileSystemSpace(of: Folder.nearest(to: out)), space.free < needed else { return }
    throw RunFailure(
      .io,
      "the export takes \(Amount.of(needed)), and the file system of \(shown(out)) has \(Amount.of(space.free)) free: make room, choose "
        + "another --out, or export less at a time")
  }

  private func parameters(threads: Int) -> RunParameters<ExportChoice> {
    .init(choice, TensorParameters(options.tensors, threads: threads))
  }
}
