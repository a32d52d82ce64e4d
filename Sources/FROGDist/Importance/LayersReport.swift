import Execution
import RunCore

/// What `inspect --layers` shows of a mask: how important each layer is, and how much of it is kept, by role.
package struct LayersReport: Encodable {
  /// What the importance of a layer is measured by. Each is a sum over the matrices of the layer.
  package enum Measure: String, Sendable, CaseIterable, Encodable {
    /// ΣR, the share of what ``LayersReport/importance`` names.
    case importance
    /// The sum of the scores of the kept weights.
    case selected
    /// The sum of all scores.
    case scores
    /// The number of kept weights.
    case kept

    /// The measure of some matrices; nil if double precision does not hold it.
    package func value(_ totals: MatrixTotals) -> Double? {
      switch self {
      case .importance: totals.importance
      case .selected: totals.selectedScoreSum
      case .scores: totals.scoreSum
      case .kept: Double(totals.kept)
      }
    }
  }

  /// A layer, a role, or a role of a layer, with what its matrices add up to.
  package struct Entry: Encodable {
    /// The layer; nil for a role of all layers.
    package let place: LayerPlace?
    /// The role; nil for a layer with all of its roles.
    package let role: String?
    package let totals: MatrixTotals
    /// The share of the measure of the whole model; nil if double precision does not hold the measure.
    package let share: Double?

    private enum CodingKeys: String, CodingKey {
      case role, share
      case keptShare = "kept_share"
    }

    package func encode(to encoder: any Encoder) throws {
      try place?.encode(to: encoder)
      try totals.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encodeIfPresent(role, forKey: .role)
      try container.encode(totals.keptShare, forKey: .keptShare)
      try container.encode(share, forKey: .share)
    }
  }

  /// What the layers are measured by.
  package let by: Measure
  /// What R is a share of, as a word of ``ImportanceMetric``.
  package let importance: String
  /// The layers, as ``LayerTotals`` orders them.
  package let layers: [Entry]
  /// The roles of all layers, in byte-wise order of their names.
  package let roles: [Entry]
  /// The roles of each layer, in the order of ``layers`` and then of ``roles``.
  package let table: [Entry]
  /// The layers of the largest measure, largest first: at most three, and at most half of all.
  package let mostCritical: [Entry]
  /// The layers of the smallest measure, smallest first: at most three, and at most half of all.
  package let leastCritical: [Entry]
  /// How the shares of layers shift with the budget; nil if that was not asked.
  package let sweep: BudgetSweep?

  enum CodingKeys: String, CodingKey {
    case by, importance, layers, roles, table, sweep
    case mostCritical = "most_critical"
    case leastCritical = "least_critical"
  }

  /// - Parameters:
  ///   - record: the record of the mask.
  ///   - measure: what the importance of a layer is measured by.
  ///   - sweep: the masks of other budgets; nil for none.
  package init(_ record: MaskRecord, by measure: Measure, sweep: BudgetSweep? = nil) {
    by = measure
    importance = record.parameters.importance
    self.sweep = sweep
    let found = LayerTotals(record.matrices)
    let whole = ModelShares(found.layers.map { measure.value($0.totals) })
    func entry(_ place: LayerPlace?, _ role: String?, _ totals: MatrixTotals) -> Entry {
      Entry(place: place, role: role, totals: totals, share: measure.value(totals).map(whole.share))
    }
    layers = found.layers.map { entry($0.place, nil, $0.totals) }
    roles = found.roles.map { entry(nil, $0.role, $0.totals) }
    table = zip(found.layers, found.cells).flatMap { layer, cells in
      cells.map { entry(layer.place, $0.role, $0.totals) }
    }
    // Equal measures stay in the order of layers, since the sort is stable.
    let ranked = layers.filter { $0.place?.depth != nil && $0.share != nil }
      .sorted { ($0.share ?? 0) > ($1.share ?? 0) }
    mostCritical = Array(ranked.prefix(min(3, (ranked.count + 1) / 2)))
    leastCritical = Array(ranked.suffix(min(3, ranked.count / 2)).reversed())
  }
}

/// The whole of which parts are shares. Parts that have no value are no part of it.
///
/// Parts may be as large as double precision allows, so they are added up in units of the largest.
struct ModelShares {
  private let unit: Double
  private let sum: Double

  init(_ parts: [Double?]) {
    let unit = parts.reduce(0) { max($0, $1?.magnitude ?? 0) }
    self.unit = unit
    sum = unit > 0 ? parts.reduce(0) { $0 + ($1 ?? 0) / unit } : 0
  }

  /// The share of a value in the whole; 0 if the whole is.
  func share(_ value: Double) -> Double { sum > 0 ? value / unit / sum : 0 }
}
