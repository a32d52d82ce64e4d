import DistSVD
import Execution
import MPI
import Planning
import RunCore
import ShardIO
import Spectra
import SpectralQuality
import SystemPackage
import Weights

/// The stages of `mask`, in order: checkpoint → catalog → plan → norms → scores → selection → masks.
///
/// ``CommandRun`` runs them. ``work(_:_:)`` does everything between the norms and the moment the masks appear.
package struct MaskPipeline: MatrixCommand {
  package static let kind = MaskFiles.kind

  private let question: MaskOptions

  package var options: RunOptions { question.run }

  package init(_ options: MaskOptions) { question = options }

  /// What the command knows once the headers have been read.
  package struct Preparation {
    /// K, the number of weights to keep.
    fileprivate let keep: Int
    /// The text of `names.json`, on rank 0; nil if it is not wanted.
    fileprivate let names: [UInt8]?
    /// The tensors that scores are multiplied by; nil until they have been read, or if there are none.
    fileprivate var signal: ExternalSignal?
  }

  // MARK: Before the work

  /// Turns the budget into a number, and refuses what does not fit in memory.
  package func prepare(
    _ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext
  ) throws -> Preparation {
    let catalog = checkpoints.catalogs[0]
    let keep = try question.budget.resolve(of: catalog.matrices)
    try checkMemory(catalog, planner)
    return Preparation(keep: keep, names: checkpoints.classified.first.flatMap { names(of: $0, context) })
  }

  /// The options that shape the result. The tensors that scores are multiplied by are read here, since the result depends on all of them.
  package func words(
    _ preparation: inout Preparation, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) throws -> OptionWords {
    let scoring = question.scoring
    preparation.signal = try scoring.weightBy.map {
      try ExternalSignal.load($0, for: inputs[0].catalog, io: options.io, world: context.world)
    }
    return MaskFiles.words(
      parameters(scoring, preparation, threads: threads), names: question.names,
      audit: scoring.isApproximate ? scoring.auditCount : nil, teams: scoring.teams)
  }

  /// Refuses what does not fit in memory: all matrices as they are scored, and those of an audit as they are scored exactly.
  private func checkMemory(_ catalog: Catalog, _ planner: Planner) throws {
    let scoring = question.scoring
    _ = try planner.schedule(catalog.matrices, scoring.work)
    if question.needsSpectra { _ = try planner.schedule(catalog.matrices, MetricChoice().work) }
    guard scoring.isApproximate else { return }
    let audited = try AuditSample.choose(scoring, of: catalog.matrices)
    do {
      _ = try planner.schedule(audited.map { catalog.matrices[$0] }, scoring.exact.work)
    } catch {
      throw RunFailure(error.kind, "the audit scores a few matrices exactly: \(error.message)")
    }
  }

  /// The text of `names.json`; nil if it is not wanted.
  private func names(of classified: ClassifiedCheckpoint, _ context: RunContext) -> [UInt8]? {
    guard case .transformers5 = question.names else { return nil }
    let found = TransformersNames(
      modelType: classified.config.modelType,
      tensors: classified.tensors.map { ($0.tensor.info.name, $0.tensor.info.shape) })
    if !found.isCovered {
      context.warn(
        "\(TransformersNames.fileName) is not complete: it is not known what transformers 5 does with models of type "
          + (found.modelType.map { quoted($0) } ?? "that config.json does not tell"))
    }
    return found.encode()
  }

  package func product(in path: FilePath, world: Communicator) throws -> MaskRecord {
    try MaskReader.record(in: path, world: world)
  }

  // MARK: The work

  /// Does everything between the norms and the moment the masks appear.
  package func work(_ preparation: Preparation, _ run: BegunRun) throws -> FinishedWork<MaskRecord> {
    let (context, input) = (run.context, run.inputs[0])
    // 1. Spectra: they come first if what is kept depends on all of them.
    let spectra = try question.needsSpectra ? run.spectra(MetricChoice()) : nil
    let multipliers = question.quality.isUsed ? spectra.map { question.quality.multipliers($0.matrices) } : nil
    let importance = question.importance.importance(input.norms, spectra?.matrices)
    // 2. Quota: how the budget is divided among matrices.
    let quota = quota(of: preparation.keep, input, importance, multipliers)
    // 3. Audit: how good an approximation is, and which rank it needs.
    let (scoring, audit) = try audit(quota, preparation, run)
    // 4. Scores: they are computed, and the candidates for selection are found.
    var (worker, totals) = try score(scoring, multipliers, quota, preparation, run)
    if let spectra { totals.add(preparing: spectra.totals) }
    // 5. Selection: the border between kept and frozen weights.
    let (kept, threshold) = try context.stage("selection") { try worker.select(on: context.world) }
    // 6. Masks: they are written, and what the record says of each.
    let layout = try MaskLayout(input.catalog, kept: kept, format: question.format)
    let masks = MaskStage(
      catalog: input.catalog, scored: worker.matrices, output: run.output, world: context.world, watch: context.watch)
    let (files, summaries) = try context.stage("masks") { try masks.write(layout) }
    var matrices = try masks.describe(layout, norms: input.norms, importance: importance, kept: summaries)
    // 7. The files beside the masks: layers, names and spectra, if they were asked for.
    let source = CheckpointSource(input.catalog, input.norms)
    let analysis = try analysis(spectra, worker, run)
    for (ordinal, row) in (analysis?.matrices ?? []).enumerated() {
      matrices[ordinal].alpha = row.isFitted ? row.number("alpha") : nil
      matrices[ordinal].qualityWeight = multipliers?[ordinal]
    }
    let sums = LayerTotals(matrices)
    var documents = [Publication.TextFile(name: LayersTable.fileName, content: LayersTable(sums).text)]
    documents += preparation.names.map { [.init(name: TransformersNames.fileName, content: $0)] } ?? []
    documents +=
      try analysis?.documents(
        of: input.catalog, tensors: TensorParameters(options.tensors, threads: run.threads), source: source,
        version: context.version) ?? []
    // 8. The record, which vouches for all of it.
    let record = MaskRecord(
      version: context.version, parameters: parameters(scoring, preparation, threads: run.threads),
      checkpoint: source, coverage: input.catalog.coverage, K: preparation.keep, kept: kept.reduce(0, +),
      threshold: threshold,
      concentration: Concentration(overall: matrices),
      starved: matrices.count { $0.isStarved(preparation.keep, input.catalog.weightCount) }, audit: audit,
      matrices: matrices, layers: sums.layers, roles: sums.roles, files: files,
      documents: Dictionary(uniqueKeysWithValues: documents.map { ($0.name, RecordedFile($0.content)) }))
    warnOfStarvation(record, context)
    return FinishedWork(record, files: layout.files.map(\.name), totals: totals) {
      let text = try Document.encode(record)
      return documents + [
        .init(name: MaskFiles.recordName, content: text),
        .init(name: MaskFiles.indexName, content: MaskIndex(layout.contents, record: text).text),
      ]
    }
  }

  private func quota(
    of keep: Int, _ input: MatrixInput, _ importance: [Double], _ multipliers: [Double]?
  ) -> Quota {
    let weighted = multipliers.map { zip(importance, $0).map { $0 * $1 } } ?? importance
    return Quota(keep, of: question.budget, by: question.select, input.catalog.matrices, importance: weighted)
  }

  /// Finds how all matrices are to be scored, and what a few of them tell of an approximation; exact scores need no audit.
  private func audit(
    _ quota: Quota, _ preparation: Preparation, _ run: BegunRun
  ) throws -> (ScoringOptions, AuditReport?) {
    guard question.scoring.isApproximate else { return (question.scoring, nil) }
    let stage = AuditStage(
      scoring: question.scoring, input: run.inputs[0], quota: quota, signal: preparation.signal, run: run)
    let (scoring, audit) = try run.context.stage("audit") { try stage.measure() }
    if let target = question.scoring.targetOverlap, scoring.rank == nil {
      let best = audit.tried.max { $0.overlap < $1.overlap }
      run.context.warn(
        "no rank reaches an overlap of \(target) on the \(audit.matrices.count) matrices of the audit"
          + (best.map { " (rank \($0.rank): \(Float($0.overlap)))" } ?? "") + ": all scores are computed exactly")
    }
    return (scoring, audit)
  }

  private func score(
    _ scoring: ScoringOptions, _ multipliers: [Double]?, _ quota: Quota, _ preparation: Preparation, _ run: BegunRun
  ) throws -> (ScoringWorker, StageTotals) {
    let (context, input, journal) = (run.context, run.inputs[0], run.journal("scores"))
    var method = scoring.method(signal: preparation.signal)
    if question.select == .global { method.multipliers = multipliers?.map(Float.init) }
    let worker = try ScoringWorker(method, of: input, quota: quota, journal: journal, watch: context.watch)
    let resumed = try MatrixPass(worker, over: input, in: run).run(as: "scores", scoring.work)
    let rescued = try context.rescued(worker.matrices.map { ($0.name, $0.record.rescue) })
    return (worker, StageTotals(written: journal.written, resumed: resumed, rescued: rescued))
  }

  /// The spectra of all matrices, measured before the scores or found on the way to them; nil if they were not asked for.
  private func analysis(_ spectra: SpectrumOutcome?, _ worker: ScoringWorker, _ run: BegunRun) throws -> MaskAnalysis? {
    if let spectra { return MaskAnalysis(spectra) }
    guard question.analyze else { return nil }
    return try MaskAnalysis(worker.matrices, of: run.inputs[0].catalog, over: run.context.world)
  }

  private func warnOfStarvation(_ record: MaskRecord, _ context: RunContext) {
    guard record.starved * 4 >= record.matrices.count, record.starved > 0, question.select == .global else { return }
    let others = ["--normalize matrix", "--normalize rowcol", "--sample 8", "--select uniform"].filter {
      $0 != "--normalize \(question.scoring.normalize.rawValue)"
    }
    context.warn(
      "\(record.starved) of \(record.matrices.count) matrices keep less than a tenth of a uniform share: scores carry the scale of "
        + "their matrix; compare \(others.joined(separator: ", "))")
  }

  private func parameters(
    _ scoring: ScoringOptions, _ preparation: Preparation, threads: Int
  ) -> MaskRecord.Parameters {
    .init(
      MaskParameters(question, scoring, weightBy: preparation.signal?.fingerprint),
      TensorParameters(options.tensors, threads: threads))
  }
}
