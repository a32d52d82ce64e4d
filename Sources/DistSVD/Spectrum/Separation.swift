/// How the columns of W·V become orthonormal, by their singular values.
///
/// The columns are V's images in descending order of singular value, W·v_k = σ_k·u_k:
///
///     0 ..< single       divided by σ_k, products in single precision
///     single ..< kept    divided by σ_k, products in double
///     kept ..<           made orthonormal by ``TailSides``
///
/// Two errors decide. The eigenvectors of the Gram matrix are exact to a few ε·σ₁², which leaves products of
/// u_i·u_j = ε·σ₁²/(σ_i·σ_j). And a product in single precision adds an error e_k to W·v_k, of length η·‖W‖_F/√p and in
/// all directions alike, which leaves u_i·u_j = (u_i·e_j)/σ_j. The norm of all that may be no more than ``eigenError`` and
/// ``productError``.
struct Separation: Equatable {
  /// The number of columns whose products are in single precision.
  let single: Int
  /// The number of columns that are divided by their singular value.
  let kept: Int

  /// The largest ‖UᵀU − I‖_F by the rounding of the Gram matrix.
  static let eigenError = 1e-6
  /// The largest ‖UᵀU − I‖_F by products in single precision.
  static let productError = 8e-6

  /// All columns by ``TailSides``, whatever their values.
  static let none = Separation(single: 0, kept: 0)

  /// The ways to try, the fastest first. The last is always right.
  static func choices(_ singularValues: [Double], norm: Double, shape: PanelShape) -> [Separation] {
    let kept = prefix(singularValues, limit: eigenError) { (largest, value) in
      4 * .ulpOfOne * (largest / value) * (largest / value)
    }
    let single = min(kept, self.single(singularValues, norm: norm, shape: shape))
    return (single > 0 ? [Separation(single: single, kept: kept)] : []) + [Separation(single: 0, kept: kept), none]
  }

  /// How many columns may have products in single precision.
  private static func single(_ values: [Double], norm: Double, shape: PanelShape) -> Int {
    let core = Double(shape.core)
    // The rounding of a sum of `core` terms in slices, each element by 2⁻²⁴/√3 at most in the mean: half a slice adds up
    // to the others in turn, and half of all slices. 1.8e-7 was measured at 2048 terms, where this says 2.4e-7.
    let slice = Double(LocalBLAS.sliceLength)
    let rounding = Double(Float.ulpOfOne) / 2 * ((slice + core / slice + 4) / 6).squareRoot()
    let length = rounding * norm / core.squareRoot()
    let share = 2 * Double(values.count) / Double(shape.stream)
    let many = prefix(values, limit: productError * productError) { _, value in
      share * (length / value) * (length / value)
    }
    // Numbers that leave the range of single precision.
    let least: Double = 1e-30, most: Double = 1e30
    return norm < most ? values.prefix(many).prefix { $0 > least }.count : 0
  }

  /// The longest prefix whose terms add up to `limit` at most.
  private static func prefix(_ values: [Double], limit: Double, _ term: (_ largest: Double, _ value: Double) -> Double)
    -> Int
  {
    var sum = 0.0
    return values.prefix { value in
      sum += term(values[0], value)
      // Written so that NaN ends the prefix.
      return value > 0 && sum <= limit
    }.count
  }
}
