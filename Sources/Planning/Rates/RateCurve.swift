/// The operations a second that one rank does, by the order of the matrix it works on.
///
/// One number would not do, since small matrices pay for overheads and large ones leave the caches.
package struct RateCurve: Codable, Sendable, Equatable {
  /// The measured rate at one order.
  package struct Point: Codable, Sendable, Equatable {
    /// The order of the matrix: its shorter side.
    package var order: Int
    /// The floating-point operations a second.
    package var perSecond: Double

    enum CodingKeys: String, CodingKey {
      case order
      case perSecond = "per_second"
    }
  }

  /// The measured points by ascending order, at least one.
  package var points: [Point]

  /// Makes the curve through pairs of order and operations a second, which are sorted by ascending order.
  package init(_ rates: [(order: Int, perSecond: Double)]) {
    points = rates.map { Point(order: $0.order, perSecond: $0.perSecond) }
  }

  /// The operations a second at `order`, linear in log(order) between points.
  ///
  /// Outside the measured orders the rate is that of the nearest point. Below them overheads are small in absolute terms. Above them
  /// matrices are out of cache already, and the rate has settled.
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

  /// Whether there are points, their orders ascend, and every number is finite and at least 1.
  var isSensible: Bool {
    let orders = points.map(\.order)
    return !points.isEmpty && points.allSatisfy { $0.order >= 1 && $0.perSecond.isFinite && $0.perSecond >= 1 }
      && zip(orders, orders.dropFirst()).allSatisfy { $0 < $1 }
  }

  /// The curve of a rank that is `factor` times as fast.
  func scaled(by factor: Double) -> RateCurve {
    RateCurve(points.map { ($0.order, $0.perSecond * factor) })
  }

  /// The base-2 logarithm at powers of two, and linear between them.
  ///
  /// The C library's logarithm may differ in the last bit from one processor to the next, but ranks on unlike nodes must come to the same
  /// schedule.
  private static func logarithm(_ order: Int) -> Double {
    let value = Double(order)
    return Double(value.exponent) + (value.significand - 1)
  }
}
