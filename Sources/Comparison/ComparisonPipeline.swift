import Execution
import MPI
import Planning
import RunCore
import ShardIO
import Spectra
import SystemPackage
import Weights

/// The stages of `compare`, in order: checkpoints → catalogs → one form for both → pairs → plan → norms of both → spectra and products → tables.
///
/// ``CommandRun`` runs them.
package struct ComparisonPipeline: MatrixCommand {
  package static let kind = ComparisonFiles.kind

  private let metrics: ComparisonChoice
  package let options: RunOptions

  package init(_ options: ComparisonOptions) {
    self.options = options.run
    metrics = options.metrics
  }

  /// Cuts fused tensors where the other model stores their parts apart.
  package func arranged(_ catalogs: [Catalog]) throws -> [Catalog] {
    let alignment = try CatalogAlignment(catalogs[0], catalogs[1])
    return [alignment.base, alignment.tuned]
  }

  /// Pairs the matrices, and refuses what does not fit in memory.
  package func prepare(
    _ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext
  ) throws -> MatrixPairing {
    let (base, tuned) = (checkpoints.catalogs[0], checkpoints.catalogs[1])
    let pairing = MatrixPairing(base, tuned)
    try checkPairs(pairing, base, tuned, in: context)
    _ = try planner.schedule(pairing.base.matrices, metrics.work)
    return pairing
  }

  package func words(
    _ preparation: inout MatrixPairing, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) -> OptionWords {
    parameters(threads: threads).words
  }

  /// Decomposes every matrix of both models once, and puts together what all pairs tell.
  package func work(_ pairing: MatrixPairing, _ run: BegunRun) throws -> FinishedWork<ComparisonSummary> {
    let (base, tuned) = (run.inputs[0], run.inputs[1])
    let pairs = (base.restricted(to: pairing.baseOrdinals), tuned.restricted(to: pairing.tunedOrdinals))
    let compared = try MatrixStage(
      "pairs", of: PairMeasurement(base: pairs.0, tuned: pairs.1, metrics: metrics), over: [pairs.0, pairs.1]
    ).run(metrics.work, in: run)
    let flags = ScaleFlags(compared.rows)
    let roles = MatrixRoles(pairing.base)
    let details = ComparisonTable(compared.rows, flags, of: pairing, roles, metrics).text
    let summary = ComparisonSummary(
      compared.rows, flags, of: pairing, roles, norms: pairs.0.norms, version: run.context.version,
      parameters: parameters(threads: run.threads), base: CheckpointSource(base.catalog, base.norms),
      tuned: CheckpointSource(tuned.catalog, tuned.norms), details: details)
    return FinishedWork(summary, totals: compared.totals) {
      try summary.published(with: [.init(name: ComparisonFiles.detailsName, content: details)])
    }
  }

  package func product(in path: FilePath, world: Communicator) throws -> ComparisonSummary {
    try ComparisonSummary.read(in: path, world: world)
  }

  private func parameters(threads: Int) -> ComparisonSummary.Parameters {
    .init(metrics, TensorParameters(options.tensors, threads: threads))
  }

  /// Refuses checkpoints without a pair, and warns of matrices that are not compared.
  private func checkPairs(
    _ pairing: MatrixPairing, _ base: Catalog, _ tuned: Catalog, in context: RunContext
  ) throws {
    guard pairing.base.matrices.isEmpty else {
      if let first = pairing.mismatches.first {
        let count = pairing.mismatches.count
        context.warn(
          "\(count) \(count == 1 ? "matrix is" : "matrices are") not compared, such as \(quoted(first.matrix)): "
            + "\(first.reason); all are in \(ComparisonFiles.summaryName)")
      }
      return
    }
    func some(_ catalog: Catalog) -> String {
      let first = catalog.matrices.first.map { ", the first of them \(quoted($0.name)), \($0.rows) × \($0.columns)" }
      return "\(catalog.matrices.count) weight \(catalog.matrices.count == 1 ? "matrix" : "matrices")\(first ?? "")"
    }
    throw RunFailure(
      .data,
      "nothing to compare: no weight matrix of \(shown(options.sources[0].path)) has a partner of the same shape in "
        + "\(shown(options.sources[1].path)), by its name or by a renaming; the base has \(some(base)), the tuned model \(some(tuned))"
    )
  }
}
