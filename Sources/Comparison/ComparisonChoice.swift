import DistSVD
import RunCore

/// What is measured of every pair of matrices beyond norms, power laws and alignment.
package struct ComparisonChoice: Codable, Sendable, Equatable, ShapingOptions {
  /// The number of leading singular vectors of either side that span the spaces to be compared; at least 1.
  package var top: Int
  /// Whether the difference of the matrices is decomposed too.
  package var deltaSpectrum: Bool

  /// Compares spaces of `top` dimensions, or of 1 if `top` is less, and measures the spectrum of the difference if asked for.
  package init(top: Int = 16, deltaSpectrum: Bool = false) {
    self.top = max(1, top)
    self.deltaSpectrum = deltaSpectrum
  }

  enum CodingKeys: String, CodingKey {
    case top
    case deltaSpectrum = "delta_spectrum"
  }

  package var words: OptionWords {
    var words = OptionWords()
    words.add("--top", top)
    words.add("--delta-spectrum", deltaSpectrum)
    return words
  }

  /// The leading vectors that are sought of every matrix.
  var leading: LeadingVectors { LeadingVectors(top, [.left, .right]) }

  /// What is measured of every pair, as far as time and memory are concerned.
  package var work: PairWork { PairWork(leading: leading, ofDifference: deltaSpectrum) }
}
