import Weights

/// The spectrum of one matrix as `spectra.safetensors` holds it: singular values in single precision, and a power of two.
///
/// Accuracy: a value of at least 2⁻⁸⁶ of the largest is right to 2⁻²⁴, relative to itself. Smaller ones lose digits or become 0; the
/// decomposition resolves 2⁻⁵² of the largest.
struct StoredSpectrum: Equatable {
  /// The singular values divided by 2^`exponent`, descending.
  let values: [Float]
  /// The exponent e: 0 if the largest value is from 2⁻⁴⁰ to 2⁴⁰, or if all are 0. Otherwise the largest of ``values`` is from 1 to 2.
  let exponent: Int

  /// - Parameter singularValues: finite values of 0 or more, in any order.
  /// - Complexity: O(n log n).
  init(_ singularValues: [Double]) {
    let sorted = singularValues.sorted(by: >)
    let largest = sorted.first ?? 0
    let unit = Magnitude(exponent: largest > 0 ? Int(largest.exponent) : nil).working
    exponent = unit
    values = sorted.map { Float($0.times(powerOfTwo: -unit)) }
  }
}
