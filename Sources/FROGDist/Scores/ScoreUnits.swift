import DistSVD
import Weights

/// The powers of two by which one matrix and its scores are scaled, so that single precision holds them whatever the units of the weights.
///
/// All exponents are 0 for ordinary matrices. Multiplying by a power of two rounds nothing.
///
/// Invariant: panels and files hold S·2^−stored. A matrix of norm 2^−200 has `weights` and `stored` of −200, so its numbers are computed
/// and stored as if its norm were 1.
struct ScoreUnits: Equatable, Sendable {
  /// The exponent e of the weights. W·2^−e is decomposed, whose Frobenius norm can be squared and added up safely.
  var weights = 0
  /// The exponent of the signal that the scores are multiplied by.
  var signal = 0
  /// The exponent u of the scores and noise factors, in panels and as stored; `score_exponent` in `frog.json`.
  var stored = 0

  /// The exponent of the power of two that turns products of scaled factors into panels.
  var panelShift: Int { weights + signal - stored }

  /// The exponents of norms whose scores are stored as they are.
  ///
  /// A norm below 2^126 has finite scores, since S_ij ≤ ‖W‖_F. And S_ij ≥ |W_ij|: the scores of 2³⁰ weights with a norm from 2^−80 on lie
  /// about 2^−95. They keep all digits down to 2^−31 of that.
  static let plainScores = -80..<126
  /// The exponent that the largest norm gets in what ranks weights if the matrices under one threshold do not all have plain scores.
  ///
  /// Scores up to 2^246 times smaller still have all digits. The rest of the range is left for rounding up.
  static let topExponent = 120
}

/// The units of all matrices of a model, by ordinal, and those of the values that rank their weights.
///
/// They depend on norms alone, so every rank finds the same without communication.
struct ModelUnits {
  /// The units of every matrix.
  let matrices: [ScoreUnits]
  /// Whether all scores are ranked and stored as they are.
  let isPlain: Bool
  /// The exponent of the values that rank the weights under one threshold, if they have the units of scores.
  private let common: Int

  /// - Parameters:
  ///   - squaredNorms: ‖W‖²_F of every matrix; nil if scores do not come from weights.
  ///   - squaredSignals: ‖G‖²_F of the signal of every matrix; nil if scores are multiplied by none.
  init(squaredNorms: [Double]?, squaredSignals: [Double]?, count: Int) {
    let weights = squaredNorms?.map(Magnitude.init) ?? [Magnitude](repeating: .one, count: count)
    let signals = squaredSignals?.map(Magnitude.init) ?? [Magnitude](repeating: .one, count: count)
    // S_ij·G_ij ≤ ‖W‖·‖G‖.
    let scores = zip(weights, signals).map { $0 * $1 }
    matrices = zip(zip(weights, signals), scores).map { factors, score in
      var units = ScoreUnits(weights: factors.0.working, signal: factors.1.working)
      units.stored = score.isPlain ? 0 : units.weights + units.signal
      return units
    }
    isPlain = scores.allSatisfy(\.isPlain)
    let largest = isPlain ? nil : scores.compactMap(\.exponent).max()
    common = largest.map { $0 - ScoreUnits.topExponent } ?? 0
  }

  /// The exponent u of the values V·2^−u by which a target ranks the weights of a matrix.
  ///
  /// Under one threshold it is the same for all matrices. Quotients and sampling keys have no units.
  func ranked(_ ordinal: Int, by targets: RankedTargets) -> Int {
    guard targets.ranksMultiples else { return 0 }
    return targets.largestGlobal != nil ? common : matrices[ordinal].stored
  }
}

extension Magnitude {
  /// Whether scores of this size are stored as they are.
  fileprivate var isPlain: Bool { exponent.map(ScoreUnits.plainScores.contains) ?? true }
}

/// Computes x := x·2^`exponent`, rounded once where a result is no normal number.
func scale(_ x: UnsafeMutableBufferPointer<Float>, byPowerOfTwo exponent: Int) {
  guard exponent != 0 else { return }
  // The factor may be beyond single precision where the product is not.
  let factor = 1.0.times(powerOfTwo: exponent)
  for index in x.indices { x[index] = Float(Double(x[index]) * factor) }
}
