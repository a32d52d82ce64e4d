import Weights
import DistSVD

/// The powers of two by which one matrix and its scores are scaled, so that single precision holds them whatever the units of the
/// weights; all 0 for ordinary matrices. Multiplying by a power of two rounds nothing.
struct ScoreUnits: Equatable, Sendable {
  /// e: what is decomposed is W·2^−e, whose Frobenius norm squares and adds up safely.
  var weights = 0
  /// The same of what the scores are multiplied by.
  var signal = 0
  /// u of the panels: they hold S·2^−u.
  var panels = 0
  /// u of what ranks the weights: that of the panels, or 0 for quotients and sampling keys, which have no units.
  var ranked = 0
  /// u of the scores and noise factors that are stored; `score_exponent` in `frog.json`.
  var stored = 0

  /// From products of scaled factors to panels.
  var panelShift: Int { weights + signal - panels }
  /// From panels to what is stored.
  var storedShift: Int { panels - stored }

  /// Norms below 2^126 have finite scores, S_ij ≤ ‖W‖_F. S_ij ≥ |W_ij|, so the scores of a norm from 2^−80 on lie, with 2³⁰ weights,
  /// about 2^−95 and keep all digits down to 2^−31 of that.
  static let plainScores = -80..<126
  /// Where the scores of the largest norm go if not all matrices under one threshold have plain ones: what is up to 2^246 times
  /// smaller still has all digits, and the rest of the range is left for rounding up.
  static let topExponent = 120
}

extension ScoreUnits {
  /// The units of all matrices of a model, by ordinal.
  ///
  /// Depends on norms alone, so that every rank finds the same without a word.
  ///
  /// - Parameters:
  ///   - squaredNorms: ‖W‖²_F; nil where scores do not come from weights.
  ///   - squaredSignals: ‖G‖²_F of what scores are multiplied by; nil if nothing.
  ///   - sharesThreshold: whether scores of different matrices are compared as they are.
  ///   - ranksScores: whether what ranks the weights is the score itself.
  static func units(
    squaredNorms: [Double]?, squaredSignals: [Double]?, count: Int, sharesThreshold: Bool, ranksScores: Bool
  ) -> [ScoreUnits] {
    let weights = squaredNorms?.map(Magnitude.init) ?? [Magnitude](repeating: .one, count: count)
    let signals = squaredSignals?.map(Magnitude.init) ?? [Magnitude](repeating: .one, count: count)
    // S_ij·G_ij ≤ ‖W‖·‖G‖.
    let scores = zip(weights, signals).map { $0 * $1 }
    let common = sharesThreshold ? common(scores) : nil
    return zip(zip(weights, signals), scores).map { factors, score in
      var units = ScoreUnits(weights: factors.0.working, signal: factors.1.working)
      units.stored = score.isPlain ? 0 : units.weights + units.signal
      units.panels = common ?? units.stored
      units.ranked = ranksScores ? units.panels : 0
      return units
    }
  }

  /// One u for all.
  private static func common(_ scores: [Magnitude]) -> Int {
    guard !scores.allSatisfy(\.isPlain), let largest = scores.compactMap(\.exponent).max() else { return 0 }
    return largest - topExponent
  }
}

extension Magnitude {
  /// Whether scores of this size are stored as they are.
  fileprivate var isPlain: Bool { exponent.map(ScoreUnits.plainScores.contains) ?? true }
}

/// x := x · 2^`exponent`, rounded once where a result is no normal number.
func scale(_ x: UnsafeMutableBufferPointer<Float>, byPowerOfTwo exponent: Int) {
  guard exponent != 0 else { return }
  // The factor may be beyond single precision where the product is not.
  let factor = 1.0.times(powerOfTwo: exponent)
  for index in x.indices { x[index] = Float(Double(x[index]) * factor) }
}
