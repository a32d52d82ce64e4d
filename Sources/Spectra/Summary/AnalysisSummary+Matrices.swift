import RunCore
import ShardIO
import SpectralQuality
import Weights

extension AnalysisSummary {
  /// The metrics whose means WeightWatcher's summary has.
  private static let means = [
    "log_norm", "alpha", "alpha_weighted", "log_alpha_norm", "log_spectral_norm", "stable_rank", "mp_softrank",
  ]
  private static let medians = ["alpha_weighted", "log_norm", "log_spectral_norm", "stable_rank"]

  /// Summarizes the rows of all matrices.
  ///
  /// - Parameters:
  ///   - matrices: all rows, by ordinal.
  ///   - details: the text of `details.csv`.
  ///   - spectra: the size and digest of `spectra.safetensors`.
  /// - Complexity: O(n log n), and O(layers²) for slopes.
  package init(
    _ matrices: [AnalyzedMatrix], of catalog: Catalog, _ modelRoles: MatrixRoles, overlaps: [Overlap], version: String,
    parameters: Parameters, checkpoint: CheckpointSource, details: [UInt8], spectra: RecordedFile
  ) {
    let roles = catalog.matrices.map { modelRoles[$0] }
    let fitted = matrices.filter(\.isFitted)
    self.version = version
    self.parameters = parameters
    self.checkpoint = checkpoint
    coverage = catalog.coverage
    var summary: [String: Double] = [:]
    for name in Self.means {
      let values = (name == "alpha" ? fitted : matrices).compactMap { $0.number(name) }
      if !values.isEmpty { summary[name] = values.reduce(0, +) / Double(values.count) }
    }
    self.summary = summary
    failedFits = matrices.count - fitted.count
    overTrained = matrices.count { $0.text("warning") == TrainingWarning.overTrained.rawValue }
    underTrained = matrices.count { $0.text("warning") == TrainingWarning.underTrained.rawValue }
    let byRole = Dictionary(grouping: matrices) { roles[$0.ordinal].name }
    self.roles = byRole.sorted { $0.key < $1.key }.map { role, members in
      Role(
        role: role, matrices: members.count, alpha: Self.flow(members) { roles[$0.ordinal].depth },
        medians: Self.medians(members))
    }
    let byDepth = Dictionary(grouping: matrices.filter { roles[$0.ordinal].depth != nil }) {
      roles[$0.ordinal].depth ?? 0
    }
    depths = byDepth.sorted { $0.key < $1.key }.map { depth, members in
      Depth(
        depth: depth, matrices: members.count,
        medianAlpha: RobustStatistics.median(members.filter(\.isFitted).compactMap { $0.number("alpha") }),
        medians: Self.medians(members))
    }
    self.overlaps = overlaps
    roleOverlaps = Self.byRole(overlaps, roles: roles, catalog)
    warnings = Self.warnings(matrices, roles: roles, catalog)
    files = [AnalysisFiles.detailsName: RecordedFile(details), SpectraFile.fileName: spectra]
  }

  private static func medians(_ members: [AnalyzedMatrix]) -> [String: Double] {
    var found: [String: Double] = [:]
    for name in medians { found[name] = RobustStatistics.median(members.compactMap { $0.number(name) }) }
    return found
  }

  private static func flow(_ members: [AnalyzedMatrix], depth: (AnalyzedMatrix) -> Int?) -> Flow {
    // Matrices without a layer number count as one layer, and have no slope.
    let found = CorrelationFlow(members.map { (depth($0) ?? 0, $0.isFitted ? $0.number("alpha") : nil) })
    return Flow(
      fits: found.count, median: found.median, mad: found.medianAbsoluteDeviation, slope: found.slope,
      meanChange: found.meanAbsoluteChange, shareInRange: found.wellTrainedShare)
  }

  /// The overlaps by roles of writer and reader, in the order of the roles' names.
  private static func byRole(_ overlaps: [Overlap], roles: [MatrixRole], _ catalog: Catalog) -> [RoleOverlap] {
    struct Roles: Hashable {
      let writer, reader: String
    }
    let names = Dictionary(
      zip(catalog.matrices, roles).map { (ExactName($0.name), $1.name) }, uniquingKeysWith: { first, _ in first })
    let groups = Dictionary(grouping: overlaps) {
      Roles(writer: names[ExactName($0.writer)] ?? $0.writer, reader: names[ExactName($0.reader)] ?? $0.reader)
    }
    return groups.sorted { ($0.key.writer, $0.key.reader) < ($1.key.writer, $1.key.reader) }.map { roles, members in
      RoleOverlap(
        writer: roles.writer, reader: roles.reader, pairs: members.count,
        median: RobustStatistics.median(members.map(\.overlap)) ?? 0, least: members.map(\.overlap).min() ?? 0,
        chance: RobustStatistics.median(members.map(\.chance)) ?? 0)
    }
  }

  private static func warnings(_ matrices: [AnalyzedMatrix], roles: [MatrixRole], _ catalog: Catalog) -> [Warning] {
    struct Group: Hashable {
      let role: String
      let rows, columns: Int
    }
    let scores = ScaleCollapse.scores(
      matrices.map { matrix in
        let stored = catalog.matrices[matrix.ordinal]
        return (
          group: Group(role: roles[matrix.ordinal].name, rows: stored.rows, columns: stored.columns),
          logLargest: matrix.number("log_spectral_norm")
        )
      })
    var warnings: [Warning] = []
    for (matrix, score) in zip(matrices, scores) {
      let name = catalog.matrices[matrix.ordinal].name
      func warn(_ message: String) { warnings.append(Warning(matrix: name, message: message)) }
      if let score, score < ScaleCollapse.robustScore, let logLargest = matrix.number("log_spectral_norm") {
        warn(
          "its scale may have collapsed: log10 of its largest eigenvalue, \(Decimal.short(logLargest)), is \(Decimal.short(-score)) robust standard "
            + "deviations below that of other matrices of its role and shape")
      }
      if matrix.number("norm") == 0 { warn("all of its weights are zero") }
      if let loss = matrix.number("rank_loss"), loss > 0, matrix.number("norm") != 0 {
        warn("\(Int(loss)) of its singular values are zero to working precision")
      }
      guard let alpha = matrix.number("alpha"), matrix.isFitted else {
        warn("no power law: \(matrix.reasons["alpha"] ?? "the fit failed")")
        continue
      }
      if alpha < TrainingWarning.overTrainedBound {
        warn("over-trained, or harmed: alpha \(Decimal.short(alpha)) is below 2")
      } else if alpha > TrainingWarning.underTrainedBound {
        warn("under-trained: alpha \(Decimal.short(alpha)) is above 6, it has more parameters than it uses")
      }
    }
    return warnings
  }
}
