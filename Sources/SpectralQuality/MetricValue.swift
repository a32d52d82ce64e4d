/// One cell of a table of metrics.
public enum MetricValue: Sendable, Equatable {
  /// A finite number.
  case number(Double)
  /// A whole number.
  case count(Int)
  /// Words.
  case text(String)
}

/// Columns as they are appended. What is not finite has no value: a table holds no NaN.
struct ColumnList {
  private(set) var columns: [(name: String, value: MetricValue?)] = []

  mutating func number(_ name: String, _ value: Double?) {
    columns.append((name, value.flatMap { $0.isFinite ? .number($0) : nil }))
  }

  mutating func count(_ name: String, _ value: Int?) { columns.append((name, value.map(MetricValue.count))) }

  mutating func text(_ name: String, _ value: String) { columns.append((name, .text(value))) }

  mutating func bulk(_ fit: MarchenkoPasturFit?) {
    count("num_spikes", fit?.spikes)
    number("sigma_mp", fit?.sigma)
    number("mp_softrank", fit?.softRank)
    number("W_scale", fit?.scale)
    number("bulk_max", fit?.bulkMax)
    number("bulk_min", fit?.bulkMin)
  }

  mutating func vectors(_ summary: VectorSummary) {
    for (name, parts) in VectorSummary.columns {
      let found = summary[keyPath: parts]
      number("bulk_mean_\(name)", found.bulk?.mean)
      number("bulk_var_\(name)", found.bulk?.variance)
      number("tail_mean_\(name)", found.tail?.mean)
      number("tail_var_\(name)", found.tail?.variance)
    }
  }

  mutating func randomized(_ found: RandomizedMetrics) {
    let fit = found.marchenkoPastur
    number("max_rand_eval", found.largest)
    number("rand_distance", found.distance)
    number("ww_softrank", found.softRank)
    number("ww_maxdist", found.maximumDistance)
    count("rand_num_spikes", fit?.spikes)
    count("num_traps", fit?.spikes)
    number("rand_sigma_mp", fit?.sigma)
    number("rand_mp_softrank", fit?.softRank)
    number("rand_W_scale", fit?.scale)
    number("rand_bulk_max", fit?.bulkMax)
    number("rand_bulk_min", fit?.bulkMin)
  }
}
