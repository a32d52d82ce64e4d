/// The reasons why columns have no value. A column keeps the first reason that it is given.
struct ReasonList {
  /// Column → reason.
  private(set) var reasons: [String: String] = [:]

  // The columns that one failed step leaves without a value.
  static let fit = [
    "alpha", "xmin", "xmax", "D", "sigma", "num_pl_spikes", "raw_alpha", "Lambda", "alpha_tpl",
    "tpl_gain", "pl_pvalue", "ERG_gap", "alpha_weighted", "log_alpha_norm",
  ]
  static let truncated = ["Lambda", "alpha_tpl", "tpl_gain"]
  static let volume = ["detX_num", "num_ERG_spikes", "ERG_gap", "detX_val", "detX_val_unrescaled"]
  static let bulk = ColumnList.names { $0.bulk(nil) }
  static let vectors = ColumnList.names { $0.vectors(nil) }
  static let randomized = ColumnList.names { $0.randomized(nil) }
  static let randomizedBulk = ColumnList.names { $0.randomizedBulk(nil) }

  mutating func add(_ columns: [String], _ reason: String) {
    for column in columns where reasons[column] == nil { reasons[column] = reason }
  }

  /// The Marchenko–Pastur fit of eigenvalues. If there is none, gives `columns` the reason.
  mutating func fitBulk(_ eigenvalues: [Double], of spectrum: Spectrum, for columns: [String]) -> MarchenkoPasturFit? {
    do throws(MarchenkoPasturFit.Failure) {
      return try MarchenkoPasturFit.fit(eigenvalues, larger: spectrum.larger, smaller: spectrum.smaller)
    } catch {
      let reason =
        switch error {
        case .noSpectrum: "Marchenko–Pastur fit: every singular value is zero"
        case .tooSparse: "Marchenko–Pastur fit: eigenvalues lie too far apart for a density"
        case .noBulk: "Marchenko–Pastur fit: no bulk has its edges about the density's peak"
        }
      add(columns, reason)
      return nil
    }
  }

  mutating func addVectors(_ summary: VectorSummary) {
    for (name, parts) in VectorSummary.columns {
      if summary[keyPath: parts].bulk == nil {
        add(["bulk_mean_\(name)", "bulk_var_\(name)"], "vectors: none given has an eigenvalue below xmin")
      }
      if summary[keyPath: parts].tail == nil {
        add(["tail_mean_\(name)", "tail_var_\(name)"], "vectors: none given has an eigenvalue of xmin or more")
      }
    }
  }
}

extension VectorSummary {
  /// The parts of a summary under WeightWatcher's names, in its order.
  static var columns: [(name: String, parts: any KeyPath<VectorSummary, Parts> & Sendable)] {
    [("vec_entropy", \.entropy), ("loc_ratio", \.localizationRatio), ("part_ratio", \.participationRatio)]
  }
}
