/// The value of one cell in a table of metrics.
package enum MetricValue: Sendable, Equatable {
  /// A finite number.
  case number(Double)
  /// A whole number.
  case count(Int)
  case text(String)
}

/// The columns of a row, in the order in which they are appended. A number that is not finite becomes no value, so a
/// table holds no NaN.
struct ColumnList {
  private(set) var columns: [(name: String, value: MetricValue?)] = []

  mutating func number(_ name: String, _ value: Double?) {
    columns.append((name, value.flatMap { $0.isFinite ? .number($0) : nil }))
  }

  mutating func count(_ name: String, _ value: Int?) { columns.append((name, value.map(MetricValue.count))) }

  mutating func text(_ name: String, _ value: String) { columns.append((name, .text(value))) }

  mutating func bulk(_ fit: MarchenkoPasturFit?, prefix: String = "") {
    count(prefix + "num_spikes", fit?.spikes)
    number(prefix + "sigma_mp", fit?.sigma)
    number(prefix + "mp_softrank", fit?.softRank)
    number(prefix + "W_scale", fit?.scale)
    number(prefix + "bulk_max", fit?.bulkMax)
    number(prefix + "bulk_min", fit?.bulkMin)
  }

  mutating func vectors(_ summary: VectorSummary?) {
    for (name, parts) in VectorSummary.columns {
      let found = summary?[keyPath: parts]
      number("bulk_mean_\(name)", found?.bulk?.mean)
      number("bulk_var_\(name)", found?.bulk?.variance)
      number("tail_mean_\(name)", found?.tail?.mean)
      number("tail_var_\(name)", found?.tail?.variance)
    }
  }

  mutating func randomized(_ found: RandomizedMetrics?) {
    number("max_rand_eval", found?.largest)
    number("rand_distance", found?.distance)
    number("ww_softrank", found?.softRank)
    number("ww_maxdist", found?.maximumDistance)
    randomizedBulk(found?.marchenkoPastur)
  }

  mutating func randomizedBulk(_ fit: MarchenkoPasturFit?) {
    bulk(fit, prefix: "rand_")
    count("num_traps", fit?.spikes)
  }

  /// The names of the columns that `append` appends.
  static func names(_ append: (inout ColumnList) -> Void) -> [String] {
    var list = ColumnList()
    append(&list)
    return list.columns.map(\.name)
  }
}
