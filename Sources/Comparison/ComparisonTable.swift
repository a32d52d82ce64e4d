import ShardIO
import Spectra
import SpectralQuality
import Weights

/// `details.csv` of a comparison: a line for each pair.
struct ComparisonTable {
  /// The contents of the file.
  let text: [UInt8]

  /// - Parameters:
  ///   - matrices: all rows, by ordinal.
  ///   - roles: those of the base's matrices.
  init(
    _ matrices: [ComparedMatrix], _ flags: ScaleFlags, of pairing: MatrixPairing, _ roles: MatrixRoles,
    _ metrics: ComparisonChoice
  ) {
    var lines = CommaSeparated()
    for (index, matrix) in matrices.enumerated() {
      let row = Self.row(matrix, flags, of: pairing, roles, metrics)
      if index == 0 { lines.add(row.cells.map(\.name) + ["reasons"]) }
      lines.add(row.cells.map { $0.value ?? "" } + [CommaSeparated.words(row.reasons)])
    }
    text = lines.text
  }

  private static func row(
    _ matrix: ComparedMatrix, _ flags: ScaleFlags, of pairing: MatrixPairing, _ roles: MatrixRoles,
    _ metrics: ComparisonChoice
  ) -> (cells: [(name: String, value: String?)], reasons: [String: String]) {
    // 1. Say which pair it is.
    let (stored, other) = (pairing.base.matrices[matrix.ordinal], pairing.tuned.matrices[matrix.ordinal])
    let change = flags.changes[matrix.ordinal]
    let role = roles[stored]
    var reasons = matrix.reasons
    var cells: [(name: String, value: String?)] = [
      ("layer_id", "\(matrix.ordinal)"), ("longname", CommaSeparated.escapingFormula(stored.moduleName)),
      (
        "tuned_longname",
        ExactName(stored.name) == ExactName(other.name) ? nil : CommaSeparated.escapingFormula(other.moduleName)
      ),
      ("layer_type", ConvolutionKernel.layerType(pairing.base.kernel(of: stored))),
      ("role", CommaSeparated.escapingFormula(role.name)), ("depth", role.depth.map { "\($0)" }),
      ("rows", "\(stored.rows)"),
      ("columns", "\(stored.columns)"), ("base_dtype", stored.dtype.rawValue), ("tuned_dtype", other.dtype.rawValue),
    ]
    // 2. Every metric before and after, and the difference; an empty cell has a reason.
    func number(_ name: String, _ value: Double?) { cells.append((name, value.map { "\($0)" })) }
    func count(_ name: String, _ value: Int?) { cells.append((name, value.map { "\($0)" })) }
    for (name, value) in MatrixQuality.columns {
      let (before, after) = (value(matrix.base), value(matrix.tuned))
      number("base_\(name)", before)
      number("tuned_\(name)", after)
      number("delta_\(name)", before.flatMap { before in after.map { $0 - before } })
      if before == nil { reasons["base_\(name)"] = matrix.base.reasons[name] ?? "every singular value is zero" }
      if after == nil { reasons["tuned_\(name)"] = matrix.tuned.reasons[name] ?? "every singular value is zero" }
      if before == nil || after == nil {
        reasons["delta_\(name)"] = "no value \(before == nil ? "before" : "after")"
      }
    }
    // 3. What belongs to the fits and ranks of either side, and to their change.
    for (side, quality) in [("base", matrix.base), ("tuned", matrix.tuned)] {
      number("\(side)_sigma", quality.sigma)
      if quality.sigma == nil { reasons["\(side)_sigma"] = quality.reasons["alpha"] ?? "the fit failed" }
    }
    count("base_rank_99", matrix.base.rank99)
    count("tuned_rank_99", matrix.tuned.rank99)
    cells.append(("base_warning", matrix.base.warning))
    cells.append(("tuned_warning", matrix.tuned.warning))
    cells.append(("trend", matrix.trend?.rawValue))
    if matrix.trend == nil { reasons["trend"] = "no value \(matrix.base.alpha == nil ? "before" : "after")" }
    // 4. The difference, and how far both matrices agree.
    number("update_norm", matrix.norm)
    number("update_relative_norm", matrix.relativeNorm)
    number("cka", matrix.alignment)
    count("subspace_dimensions", matrix.dimensions)
    number("left_overlap", matrix.left?.overlap)
    number("left_largest_angle", matrix.left?.largestAngle)
    number("right_overlap", matrix.right?.overlap)
    number("right_largest_angle", matrix.right?.largestAngle)
    // 5. The scale of the matrix beside those of the others.
    number("scale_excess", change.spectralExcess)
    number("norm_excess", change.frobeniusExcess)
    if change.spectralExcess == nil {
      let side = matrix.base.logNorm == nil ? "before" : "after"
      for name in ["scale_excess", "norm_excess"] { reasons[name] = "all zeros \(side)" }
    }
    cells.append(("flags", ScaleFlags.text(flags.flags[matrix.ordinal])))
    // 6. The spectrum of the difference, if asked for.
    if metrics.deltaSpectrum {
      number("update_sv_max", matrix.spectrum?.largest)
      number("update_stable_rank", matrix.spectrum?.stableRank)
      number("update_effective_rank", matrix.spectrum?.effectiveRank)
      count("update_rank_90", matrix.spectrum?.rank90)
      count("update_rank_99", matrix.spectrum?.rank99)
    }
    return (cells, reasons)
  }
}
