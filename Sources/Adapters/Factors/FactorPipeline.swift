import DistSVD
import Execution
import FactorCache
import MPI
import Planning
import RunCore
import ShardIO
import SystemPackage
import Weights

/// The stages of `factor`, in order: checkpoint → catalog → plan → room on the disk → norms → factors → record and index.
///
/// ``CommandRun`` runs them.
package struct FactorPipeline: MatrixCommand {
  package static let kind = FactorFiles.kind

  private let choice: FactorChoice
  package let options: RunOptions

  package init(_ options: RunOptions, _ choice: FactorChoice) {
    self.options = options
    self.choice = choice
  }

  /// Refuses matrices that do not fit in memory, and factors that do not fit on the disk.
  package func prepare(
    _ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext
  ) throws -> FactorLayout {
    let catalog = checkpoints.catalogs[0]
    _ = try planner.schedule(catalog.matrices, FactorWork(choice.triplets))
    let layout = try context.world.agreeing { try FactorLayout(catalog, choice) }
    try context.world.agreeing { if context.world.isRoot { try checkRoom(for: layout) } }
    if let rank = choice.rank {
      let smaller = catalog.matrices.count { $0.order < rank }
      if smaller > 0 {
        context.warn(
          "--rank \(rank) is more than \(smaller) of \(catalog.matrices.count) matrices have: all triplets of those are stored"
        )
      }
    }
    return layout
  }

  package func words(
    _ layout: inout FactorLayout, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) -> OptionWords {
    parameters(threads: threads).words
  }

  package func work(_ layout: FactorLayout, _ run: BegunRun) throws -> FinishedWork<FactorRecord> {
    let (context, input) = (run.context, run.inputs[0])
    // 1. Files at their full size, or those of an earlier process.
    let file = FactorFile(layout: layout, folder: run.output.work)
    try file.files.make(on: context.world)
    // 2. The factors of every matrix, each written in its place.
    let outcome = try MatrixStage("factors", of: FactorMeasurement(choice: choice, file: file), over: [input])
      .run(FactorWork(choice.triplets), in: run)
    // 3. What vouches for them.
    let files = try context.stage("hashes") { try file.files.recorded(on: context.world, context.watch) }
    let record = FactorRecord(
      input.catalog, layout, outcome.rows, norms: input.norms, version: context.version,
      parameters: parameters(threads: run.threads),
      files: Dictionary(zip(layout.files.map(\.name), files), uniquingKeysWith: { first, _ in first }))
    return FinishedWork(record, files: layout.files.map { PublishedFile($0.name) }, totals: outcome.totals) {
      let text = try Document.encode(record)
      return [
        .init(name: FactorFiles.recordName, content: text),
        .init(name: FactorFiles.indexName, content: FactorFiles.index(layout.contents, record: text)),
      ]
    }
  }

  package func product(in path: FilePath, world: Communicator) throws -> FactorRecord {
    try FactorFiles.decode(world.fromRoot { try FactorFiles.read(in: path).text }, in: path)
  }

  /// Refuses a run whose files would not fit where they go. What an earlier process of the run has made counts.
  private func checkRoom(for layout: FactorLayout) throws {
    let out = options.output.path
    let work = out.appending(OutputDirectory.workName)
    let needed =
      try options.output.resume && Folder.exists(work)
      ? FactorFile(layout: layout, folder: work).files.missingBytes() : layout.bytes
    try PlacedFiles.checkRoom(
      for: needed, in: out, "the factors take", orElse: "store less with --rank or --dtype bf16")
  }

  private func parameters(threads: Int) -> RunParameters<FactorChoice> {
    .init(choice, TensorParameters(options.tensors, threads: threads))
  }
}
