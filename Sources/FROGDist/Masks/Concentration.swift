import CKernels

/// A measure of how unevenly the kept weights of a matrix lie in its rows and columns.
///
/// Products of strong rows and strong columns make masks of a few rows and columns, while random masks spread (docs/method/selection.md).
package struct Concentration: Codable, Sendable, Equatable {
  /// The share of the kept weights in the 1% of rows that have the most, rounded up to whole rows.
  package var topRows: Double
  /// The share of the kept weights in the 1% of columns that have the most, rounded up to whole columns.
  package var topColumns: Double
  /// exp(entropy of the kept counts over the rows), as a fraction of the rows; 1 if every row has as many.
  package var effectiveRows: Double
  /// exp(entropy of the kept counts over the columns), as a fraction of the columns; 1 if every column has as many.
  package var effectiveColumns: Double
  /// The number of rows without a kept weight.
  package var unusedRows: Int
  /// The number of columns without a kept weight.
  package var unusedColumns: Int

  enum CodingKeys: String, CodingKey {
    case topRows = "top_rows"
    case topColumns = "top_columns"
    case effectiveRows = "effective_rows"
    case effectiveColumns = "effective_columns"
    case unusedRows = "unused_rows"
    case unusedColumns = "unused_columns"
  }
}

/// The numbers of kept weights in each row and column of one matrix, and the sum of their scores.
struct KeptCounts {
  private let columns: Int
  private var byRow: [Int]
  private var byColumn: [Int]
  /// The sum of the kept weights' scores, formed in the order in which they are added.
  private(set) var scoreSum = 0.0

  init(rows: Int, columns: Int) {
    self.columns = columns
    byRow = [Int](repeating: 0, count: rows)
    byColumn = [Int](repeating: 0, count: columns)
  }

  /// Counts kept weights at flat, row-major indices.
  mutating func add(_ indices: [Int], scores: [Float]) {
    for score in scores { scoreSum += Double(score) }
    // Indices nearly always follow each other in a row or into the next, so most need no division.
    var (row, start) = (0, 0)
    for index in indices {
      if index < start || index - start >= columns {
        row = index / columns
        start = row * columns
      }
      byRow[row] += 1
      byColumn[index - start] += 1
    }
  }

  /// What is told of the mask.
  var summary: KeptSummary { KeptSummary(scoreSum: scoreSum, concentration: concentration) }

  /// How unevenly the kept weights lie; nil if nothing is kept.
  var concentration: Concentration? {
    let total = byRow.reduce(0, +)
    guard total > 0 else { return nil }
    return Concentration(
      topRows: Self.topShare(byRow, of: total), topColumns: Self.topShare(byColumn, of: total),
      effectiveRows: Self.effectiveShare(byRow, of: total), effectiveColumns: Self.effectiveShare(byColumn, of: total),
      unusedRows: byRow.count { $0 == 0 }, unusedColumns: byColumn.count { $0 == 0 })
  }

  private static func topShare(_ counts: [Int], of total: Int) -> Double {
    let top = counts.sorted(by: >).prefix((counts.count + 99) / 100)
    return Double(top.reduce(0, +)) / Double(total)
  }

  private static func effectiveShare(_ counts: [Int], of total: Int) -> Double {
    // The entropy Σ p·ln(1/p) is made of logarithms that are the same on every machine.
    let entropy = counts.reduce(0.0) { sum, count in
      count == 0 ? sum : sum - Double(count) / Double(total) * frog_log(Double(count) / Double(total))
    }
    return min(1, frog_exp(entropy) / Double(counts.count))
  }
}

/// What is told of the kept weights of one matrix.
struct KeptSummary: Codable {
  /// The sum of their scores, in the units in which scores are stored.
  let scoreSum: Double
  /// How unevenly they lie; nil if there are none.
  let concentration: Concentration?
}

extension Concentration {
  /// The concentration of all masks together; nil if nothing is kept.
  ///
  /// Shares are means weighted by kept weights. Unused rows and columns are added up.
  init?(overall matrices: [MaskRecord.Matrix]) {
    let total = Double(matrices.reduce(0) { $0 + $1.kept })
    guard total > 0 else { return nil }
    func mean(_ value: (Concentration) -> Double) -> Double {
      matrices.reduce(0) { $0 + Double($1.kept) * ($1.concentration.map(value) ?? 0) } / total
    }
    topRows = mean(\.topRows)
    topColumns = mean(\.topColumns)
    effectiveRows = mean(\.effectiveRows)
    effectiveColumns = mean(\.effectiveColumns)
    unusedRows = matrices.reduce(0) { $0 + ($1.concentration?.unusedRows ?? $1.shape[0]) }
    unusedColumns = matrices.reduce(0) { $0 + ($1.concentration?.unusedColumns ?? $1.shape[1]) }
  }
}
