import DistSVD
import Execution
import SpectralQuality

/// The measured values of one pair: a row of `details.csv`.
struct ComparedMatrix: MatrixRow, Sendable {
  /// The position of the pair among all pairs.
  let ordinal: Int
  let base: MatrixQuality
  let tuned: MatrixQuality
  /// ‖ΔW‖_F, the norm of the difference.
  let norm: Double
  /// ‖ΔW‖_F/‖W‖_F; nil if the base is all zeros.
  let relativeNorm: Double?
  /// The alignment of both matrices (CKA): see ``PairProducts/alignment``; nil if one matrix is all zeros.
  let alignment: Double?
  /// Which spectra the usual solver got wrong, and why its results were refused; nil if none was.
  var rescue: String?
  /// The number of dimensions of the spaces that are compared; nil if there are none.
  private(set) var dimensions: Int?
  private(set) var left: SubspaceOverlap?
  private(set) var right: SubspaceOverlap?
  /// The spectrum of ΔW; nil if not asked for, or if ΔW is 0.
  var spectrum: UpdateSpectrum?
  /// Why a cell has no value, by column.
  var reasons: [String: String] = [:]

  static let spaceColumns = [
    "subspace_dimensions", "left_overlap", "left_largest_angle", "right_overlap", "right_largest_angle",
  ]
  static let updateColumns = [
    "update_sv_max", "update_stable_rank", "update_effective_rank", "update_rank_90", "update_rank_99",
  ]

  init(
    ordinal: Int, base: MatrixQuality, tuned: MatrixQuality, norm: Double, relativeNorm: Double?, alignment: Double?
  ) {
    self.ordinal = ordinal
    self.base = base
    self.tuned = tuned
    self.norm = norm
    self.relativeNorm = relativeNorm
    self.alignment = alignment
  }

  /// Compares the leading singular vectors of either side, as many as both matrices resolve.
  mutating func measureSpaces(
    _ before: SpectralSide, _ after: SpectralSide, _ pair: MatrixPair, _ products: PairProducts
  ) throws {
    // Rounding alone decides the vectors of the singular value 0, so they are not compared.
    let count = min(pair.metrics.top, base.resolvedRank, tuned.resolvedRank)
    func give(_ columns: some Sequence<String>, _ reason: String) { for name in columns { reasons[name] = reason } }
    guard pair.positions == nil else {
      return give(Self.spaceColumns, "the positions of a convolution's kernel have vectors of their own")
    }
    guard count > 0 else { return give(Self.spaceColumns, "a matrix of zeros has no leading vectors") }
    dimensions = count
    if products.distance == 0 {
      (left, right) = (.full, .full)
      return
    }
    if let first = before.left, let second = after.left {
      left = try SubspaceOverlap(first, second, count: count)
    } else {
      give(Self.spaceColumns[1...2], "the solver's left vectors were refused")
    }
    if let first = before.right, let second = after.right {
      right = try SubspaceOverlap(first, second, count: count)
    } else {
      give(Self.spaceColumns[3...4], "the solver's right vectors were refused")
    }
  }

  /// How the fit of the power law has changed.
  enum Trend: String, Codable, Sendable {
    case improved, worsened, unchanged
  }

  /// Whether α has come closer to the range 2…6 of well-trained matrices, or gone farther from it; nil unless both matrices have a fit.
  ///
  /// A change counts if it is larger than the larger standard error of the two fits.
  var trend: Trend? {
    guard let before = base.alpha, let after = tuned.alpha, let error = base.sigma, let otherError = tuned.sigma else {
      return nil
    }
    let gain = Self.distance(before) - Self.distance(after)
    guard abs(gain) > max(error, otherError) else { return .unchanged }
    return gain > 0 ? .improved : .worsened
  }

  /// The distance of α from the range of well-trained matrices; 0 inside.
  private static func distance(_ alpha: Double) -> Double {
    max(TrainingWarning.overTrainedBound - alpha, alpha - TrainingWarning.underTrainedBound, 0)
  }
}
