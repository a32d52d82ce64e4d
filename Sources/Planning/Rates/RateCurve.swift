/// How many operations a second one rank does, by the order of the matrix it works on.
///
/// Small matrices pay for overheads, large ones leave the caches, so one number would not do.
package struct RateCurve: Codable, Sendable, Equatable {
  /// A measured rate.
  package struct Point: Codable, Sendable, Equatable {
    /// The smaller side of the matrix.
    package var order: Int
    /// Floating-point operations a second.
    package var perSecond: Double

    enum CodingKeys: String, CodingKey {
      case order
      case perSecond = "per_second"
    }
  }

  /// By ascending order; at least one.
  package var points: [Point]

  /// A curve through `rates`, pairs of order and operations a second.
  package init(_ rates: [(order: Int, perSecond: Double)]) {
    points = rates.map { Point(order: $0.order, perSecond: $0.perSecond) }
  }

  /// Operations a second at `order`: linear in log(order) between points.
  ///
  /// Outside the measured orders the nearest point holds: below it overheads are small in absolute terms, above it the
  /// matrices are out of cache already and the rate has settled.
  package func rate(at order: Int) -> Double {
    guard let first = points.first, let last = points.last else { return 1 }
    if order <= first.order { return first.perSecond }
    if order >= last.order { return last.perSecond }
    let upper = points.firstIndex { $0.order >= order } ?? points.count - 1
    let (a, b) = (points[upper - 1], points[upper])
    let position = Self.logarithm(order) - Self.logarithm(a.order)
    let share = position / (Self.logarithm(b.order) - Self.logarithm(a.order))
    return a.perSecond + share * (b.perSecond - a.perSecond)
  }

  /// Whether every number can be a rate.
  var isSensible: Bool {
    let orders = points.map(\.order)
    return !points.isEmpty && points.allSatisfy { $0.order >= 1 && $0.perSecond.isFinite && $0.perSecond >= 1 }
      && zip(orders, orders.dropFirst()).allSatisfy { $0 < $1 }
  }

  /// The curve of a rank that is `factor` times as fast.
  func scaled(by factor: Double) -> RateCurve {
    RateCurve(points.map { ($0.order, $0.perSecond * factor) })
  }

  /// log₂, linear between powers of two.
  ///
  /// Not that of the C library, which may differ in the last bit from one processor to the next: ranks on unlike nodes
  /// must come to the same schedule.
  private static func logarithm(_ order: Int) -> Double {
    let value = Double(order)
    return Double(value.exponent) + (value.significand - 1)
  }
}
