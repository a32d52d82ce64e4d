import DistSVD
import Execution
import FactorCache
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
  package static let kind = MaskFiles.one
  package var kind: OutputKind { question.targets.count > 1 ? MaskFiles.several : MaskFiles.one }

  private let question: MaskOptions

  package var options: RunOptions { question.run }

  package init(_ options: MaskOptions) { question = options }

  /// What the command knows once the headers have been read.
  package struct Preparation {
    /// K, the number of weights that each target keeps.
    fileprivate let keeps: [Int]
    /// The text of `names.json`, on rank 0; nil if it is not wanted.
    fileprivate let names: [UInt8]?
    /// The tensors that scores are multiplied by; nil until they have been read, or if there are none.
    fileprivate var signal: ExternalSignal?
    /// The stored factors; nil if matrices are decomposed.
    fileprivate let factors: FactorFolder?
    /// The options by which the run is told from others.
    fileprivate var words = OptionWords()
  }

  // MARK: Before the work

  /// Turns the budgets into numbers, and refuses what does not fit in memory.
  package func prepare(
    _ checkpoints: LoadedCheckpoints, _ planner: Planner, in context: RunContext
  ) throws -> Preparation {
    let catalog = checkpoints.catalogs[0]
    let keeps = try question.targets.map { try $0.budget.resolve(of: catalog.matrices) }
    if let block = question.scoring.block { try checkBlocks(block, keeps, catalog) }
    let factors = try question.scoring.factors.map {
      try FactorFolder.open($0, for: catalog, io: options.io, world: context.world)
    }
    try factors.map { try checkTriplets($0, catalog) }
    try checkMemory(catalog, planner)
    try checkFolders(context.world)
    return Preparation(
      keeps: keeps, names: checkpoints.classified.first.flatMap { names(of: $0, context) }, factors: factors)
  }

  /// Refuses factors that hold fewer triplets than scores and spectra need.
  private func checkTriplets(_ factors: FactorFolder, _ catalog: Catalog) throws {
    switch question.scoring.score {
    case .frog: try factors.require(of: catalog, for: "--score frog needs") { $0.order }
    case .lift:
      let rank = question.scoring.scoreRank ?? 0
      try factors.require(of: catalog, for: "--score lift of rank \(rank) needs") { min(rank, $0.order) }
    case .magnitude, .random, .one: break
    }
    if question.needsSpectra {
      try factors.requireSpectra(of: catalog)
    } else if question.analyze {
      try factors.require(of: catalog, for: "--analyze needs") { $0.order }
    }
  }

  /// The options that shape the result. The tensors that scores are multiplied by are read here, since the result depends on all of them.
  package func words(
    _ preparation: inout Preparation, _ inputs: [MatrixInput], threads: Int, in context: RunContext
  ) throws -> OptionWords {
    let scoring = question.scoring
    try preparation.factors?.check(inputs[0].norms)
    preparation.signal = try scoring.weightBy.map {
      try ExternalSignal.load($0, for: inputs[0].catalog, io: options.io, world: context.world)
    }
    preparation.words = MaskFiles.words(
      question.targets.map { parameters($0, scoring, preparation, threads: threads) }, names: question.names,
      audit: scoring.isApproximate ? scoring.auditCount : nil, teams: scoring.teams)
    return preparation.words
  }

  /// Refuses a budget that no block fits in.
  private func checkBlocks(_ side: Int, _ keeps: [Int], _ catalog: Catalog) throws(RunFailure) {
    let smallest =
      catalog.matrices.map { BlockGrid(rows: $0.rows, columns: $0.columns, side: side).smallest }.min() ?? 0
    guard let keep = keeps.first(where: { $0 > 0 && $0 < smallest }) else { return }
    throw RunFailure(
      .usage,
      "a budget of \(keep) weights keeps no block of \(side) × \(side): the smallest has \(smallest) weights; give a larger --budget "
        + "or a smaller --block")
  }

  /// Refuses to make several masks where a file has the name of one of their folders.
  ///
  /// Collective: every rank calls it.
  private func checkFolders(_ world: Communicator) throws {
    try world.agreeing {
      guard world.isRoot, question.targets.count > 1 else { return }
      for target in question.targets {
        let folder = options.output.path.appending(target.name)
        guard try Folder.exists(folder) else { continue }
        do {
          _ = try Folder.names(in: folder)
        } catch let error as WriteError where error.errno == .notDirectory {
          throw RunFailure(
            .usage, "\(shown(folder)) is no folder, and a mask needs one of this name: choose another --out")
        }
      }
    }
  }

  /// Refuses what does not fit in memory: all matrices as they are scored, and those of an audit as they are scored exactly.
  private func checkMemory(_ catalog: Catalog, _ planner: Planner) throws {
    let scoring = question.scoring
    _ = try planner.schedule(catalog.matrices, question.work(scoring))
    if question.needsSpectra {
      _ = try planner.schedule(catalog.matrices, MetricChoice().work(isStored: scoring.factors != nil))
    }
    guard scoring.isApproximate else { return }
    let audited = try AuditSample.choose(scoring, of: catalog.matrices)
    do {
      _ = try planner.schedule(audited.map { catalog.matrices[$0] }, question.work(scoring.exact))
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

  package func product(in path: FilePath, world: Communicator) throws -> MaskSet {
    guard question.targets.count > 1 else { return MaskSet(try MaskReader.record(in: path, world: world)) }
    return try MaskSet(text: world.fromRoot { try Document.contents(of: path.appending(MaskSet.fileName)) }, in: path)
  }

  // MARK: The work

  /// Does everything between the norms and the moment the masks appear.
  package func work(_ preparation: Preparation, _ run: BegunRun) throws -> FinishedWork<MaskSet> {
    let (context, input) = (run.context, run.inputs[0])
    try run.checkContents(of: preparation.factors)
    // 1. Spectra: they come first if what is kept depends on all of them.
    let spectra = try question.needsSpectra ? run.spectra(MetricChoice(), of: preparation.factors) : nil
    let multipliers = question.quality.isUsed ? spectra.map { question.quality.multipliers($0.matrices) } : nil
    let importance = question.importance.importance(input.norms, spectra?.matrices)
    // 2. Targets: how each budget is divided among matrices, and which targets rank weights by the same values.
    let units = try ModelUnits(question.scoring.method(signal: preparation.signal), of: input)
    let groups = TargetGroups(
      question.targets, keeps: preparation.keeps, of: input, importance: importance, multipliers: multipliers,
      isPlain: units.isPlain, block: question.scoring.block)
    // 3. Audit: how good an approximation is, and which rank it needs.
    let (scoring, audits) = try audit(groups, preparation, run)
    // 4. Scores: they are computed once for all targets, and the candidates for selection are found.
    var (worker, totals) = try score(scoring, groups, preparation, run)
    if let spectra { totals.add(preparing: spectra.totals) }
    // 5. Selection: the borders between kept and frozen weights.
    let selected = try context.stage("selection") { try worker.select(on: context.world) }
    // 6. Masks: they are written.
    let layouts = try groups.targets.map {
      try MaskLayout(input.catalog, kept: selected[$0.ranking][$0.position].kept, format: question.format)
    }
    let stage = MaskStage(
      catalog: input.catalog, scored: worker.matrices, targets: groups.targets, output: run.output,
      world: context.world, watch: context.watch)
    let written = try context.stage("masks") {
      context.sharesEqually()
      return try stage.write(layouts) { context.advanced("masks", to: $0) }
    }
    let histograms =
      try question.histograms
      ? context.stage("histograms") {
        try HistogramStage(
          scored: worker.matrices, targets: groups.targets, exponents: worker.rankedExponents, output: run.output,
          world: context.world, watch: context.watch
        ).write()
      } : nil
    // 7. The spectra and their tables, if they were asked for.
    let analysis = try analysis(spectra, worker, run)
    let spectraFile = try analysis?.write(
      groups.targets.map { run.output.work.appending($0.file(SpectraFile.fileName).work) }, of: input.catalog,
      in: context)
    let tables =
      try spectraFile.flatMap {
        try analysis?.documents(
          of: input.catalog, factors: preparation.factors?.source,
          tensors: TensorParameters(options.tensors, threads: run.threads),
          source: CheckpointSource(input.catalog, input.norms), version: context.version, spectra: $0)
      } ?? []
    // 8. The records, each of which vouches for a mask.
    let roles = MatrixRoles(input.catalog)
    let names = preparation.names.map { [Publication.TextFile(name: TransformersNames.fileName, content: $0)] } ?? []
    var masks: [FinishedMask] = []
    for (number, target) in groups.targets.enumerated() {
      var matrices = try stage.describe(
        target, layouts[number], norms: input.norms, importance: importance, kept: written[number].kept, roles: roles)
      for (ordinal, row) in (analysis?.matrices ?? []).enumerated() {
        matrices[ordinal].alpha = row.isFitted ? row.number("alpha") : nil
        matrices[ordinal].qualityWeight = multipliers?[ordinal]
      }
      let sums = LayerTotals(matrices)
      let documents = [.init(name: LayersTable.fileName, content: LayersTable(sums).text)] + names + tables
      var recorded = Dictionary(uniqueKeysWithValues: documents.map { ($0.name, RecordedFile($0.content)) })
      recorded[HistogramLayout.fileName] = histograms?[number]
      recorded[SpectraFile.fileName] = spectraFile
      let selection = selected[target.ranking][target.position]
      let record = MaskRecord(
        version: context.version,
        parameters: parameters(target.target, scoring, preparation, threads: run.threads),
        checkpoint: CheckpointSource(input.catalog, input.norms), coverage: input.catalog.coverage,
        K: preparation.keeps[number], kept: selection.kept.reduce(0, +), threshold: selection.threshold,
        concentration: Concentration(overall: matrices),
        starved: matrices.count { $0.isStarved(preparation.keeps[number], input.catalog.weightCount) },
        audit: audits?[target.ranking][target.position], matrices: matrices, layers: sums.layers, roles: sums.roles,
        files: written[number].files, documents: recorded)
      masks.append(
        try FinishedMask(record, target, layouts[number], documents: documents, in: run.output, world: context.world))
    }
    warnOfStarvation(masks.map(\.summary), context, matrices: input.catalog.matrices.count)
    warnOfEmptiness(masks.map(\.summary), preparation.keeps, context)
    return finished(masks, preparation, run, totals: totals)
  }

  /// The results of the run: those of its only mask, or a set of masks whose documents lie in the work folder by now.
  private func finished(
    _ masks: [FinishedMask], _ preparation: Preparation, _ run: BegunRun, totals: StageTotals
  ) -> FinishedWork<MaskSet> {
    let input = run.inputs[0]
    let set = MaskSet(
      version: run.context.version, options: preparation.words, threads: run.threads,
      checkpoint: CheckpointSource(input.catalog, input.norms), coverage: input.catalog.coverage,
      masks: masks.map(\.summary))
    return FinishedWork(set, files: masks.flatMap(\.files), totals: totals) {
      let own = masks.flatMap(\.documents)
      return own.isEmpty ? [.init(name: MaskSet.fileName, content: try Document.encode(set))] : own
    }
  }

  /// Finds how all matrices are to be scored, and what a few of them tell of an approximation; exact scores need no audit.
  ///
  /// - Returns: the options of scores, and a report for each target, by ranking.
  private func audit(
    _ groups: TargetGroups, _ preparation: Preparation, _ run: BegunRun
  ) throws -> (ScoringOptions, [[AuditReport]]?) {
    guard question.scoring.isApproximate else { return (question.scoring, nil) }
    let stage = AuditStage(
      scoring: question.scoring, input: run.inputs[0], rankings: groups.rankings, signal: preparation.signal, run: run)
    let (scoring, audits) = try run.context.stage("audit") { try stage.measure() }
    // An overlap is asked for by runs of one target alone.
    if let target = question.scoring.targetOverlap, scoring.rank == nil, let audit = audits.first?.first {
      let best = audit.tried.max { $0.overlap < $1.overlap }
      run.context.warn(
        "no rank reaches an overlap of \(target) on the \(audit.matrices.count) matrices of the audit"
          + (best.map { " (rank \($0.rank): \(Float($0.overlap)))" } ?? "") + ": all scores are computed exactly")
    }
    return (scoring, audits)
  }

  private func score(
    _ scoring: ScoringOptions, _ groups: TargetGroups, _ preparation: Preparation, _ run: BegunRun
  ) throws -> (ScoringWorker, StageTotals) {
    let (context, input, journal) = (run.context, run.inputs[0], run.journal("scores"))
    let worker = try ScoringWorker(
      scoring.method(signal: preparation.signal, factors: preparation.factors), groups.rankings, of: input,
      journal: journal, watch: context.watch)
    let resumed = try MatrixPass(worker, over: input, in: run).run(as: "scores", question.work(scoring))
    let rescued = try context.rescued(worker.matrices.map { ($0.name, $0.record.rescue) })
    return (worker, StageTotals(written: journal.written, resumed: resumed, rescued: rescued))
  }

  /// The spectra of all matrices, measured before the scores or found on the way to them; nil if they were not asked for.
  private func analysis(_ spectra: SpectrumOutcome?, _ worker: ScoringWorker, _ run: BegunRun) throws -> MaskAnalysis? {
    if let spectra { return MaskAnalysis(spectra) }
    guard question.analyze else { return nil }
    return try MaskAnalysis(worker.matrices, of: run.inputs[0].catalog, over: run.context.world)
  }

  /// Warns of masks under one threshold that starve a quarter of the matrices, in one line for all of them.
  private func warnOfStarvation(_ masks: [MaskSet.Mask], _ context: RunContext, matrices: Int) {
    let starving = zip(question.targets, masks).filter { target, mask in
      target.select == .global && mask.kept > 0 && mask.starved > 0 && mask.starved * 4 >= matrices
    }
    guard let first = starving.first else { return }
    let used = Set(starving.map { "--normalize \($0.0.ranking.normalize.rawValue)" })
    let sample = question.scoring.block == nil ? ["--sample 8"] : []
    let others = (["--normalize matrix", "--normalize rowcol"] + sample + ["--select uniform"]).filter {
      !used.contains($0)
    }
    let more = starving.count > 1 ? ", and a quarter or more in \(starving.count - 1) other masks" : ""
    context.warn(
      "\(first.1.folder.map { $0 + ": " } ?? "")\(first.1.starved) of \(matrices) matrices keep less than a tenth of a uniform "
        + "share\(more): scores carry the scale of their matrix; compare \(others.joined(separator: ", "))")
  }

  /// Warns of a mask that keeps nothing, since its best block is larger than its budget.
  private func warnOfEmptiness(_ masks: [MaskSet.Mask], _ keeps: [Int], _ context: RunContext) {
    guard let block = question.scoring.block else { return }
    for (mask, keep) in zip(masks, keeps) where mask.kept == 0 && keep > 0 {
      context.warn(
        "\(mask.folder.map { $0 + ": " } ?? "")nothing is kept: the best block of \(block) × \(block) has more weights than the budget "
          + "of \(keep); give a larger --budget or a smaller --block")
    }
  }

  private func parameters(
    _ target: MaskTarget, _ scoring: ScoringOptions, _ preparation: Preparation, threads: Int
  ) -> MaskRecord.Parameters {
    .init(
      MaskParameters(
        target, question, scoring, weightBy: preparation.signal?.fingerprint, factors: preparation.factors?.source),
      TensorParameters(options.tensors, threads: threads))
  }
}
