import Execution
import RunCore
import ShardIO
import SystemPackage
import Weights

/// How the shares of layers shift with the budget, estimated from the histograms of one run.
package struct BudgetSweep: Encodable {
  /// What one layer keeps by one budget.
  package struct Layer: Encodable {
    package let place: LayerPlace
    /// The estimated number of kept weights, and how far it may be off.
    package let kept: Int
    package let keptBound: Int
    /// The share of the layer's weights that is kept.
    package let keptShare: Double
    /// The share of all kept weights that lies in the layer.
    package let shareOfKept: Double
    /// The estimated sum of the kept weights' scores; nil if double precision does not hold it.
    package let selectedScoreSum: Double?
    /// The share of the sum over all layers; nil if double precision does not hold the sum of the layer.
    package let shareOfScores: Double?

    enum CodingKeys: String, CodingKey {
      case kept
      case keptBound = "kept_bound"
      case keptShare = "kept_share"
      case shareOfKept = "share_of_kept"
      case selectedScoreSum = "selected_score_sum"
      case shareOfScores = "share_of_scores"
    }

    package func encode(to encoder: any Encoder) throws {
      try place.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(kept, forKey: .kept)
      try container.encode(keptBound, forKey: .keptBound)
      try container.encode(keptShare, forKey: .keptShare)
      try container.encode(shareOfKept, forKey: .shareOfKept)
      try container.encode(selectedScoreSum, forKey: .selectedScoreSum)
      try container.encode(shareOfScores, forKey: .shareOfScores)
    }
  }

  /// What all layers keep by one budget.
  package struct Step: Encodable {
    /// The budget as it was written.
    package let budget: String
    /// K, the number of weights that it comes to.
    package let K: Int
    /// The layers, in the order of `frog.json`.
    package let layers: [Layer]
  }

  package let steps: [Step]

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(steps)
  }

  /// Estimates the masks of all budgets.
  ///
  /// - Throws: ``RunFailure`` if the output folder has no histograms, or if they are not those of its matrices.
  package init(_ budgets: [BudgetRange.Point], of mask: MaskReader) throws {
    let record = mask.record
    let path = mask.path.appending(HistogramLayout.fileName)
    guard try Folder.exists(path) else {
      throw RunFailure(
        .noInput, "\(shown(path)) is not there: --budget-sweep needs the histograms of a run of frog-mpi mask")
    }
    guard let select = SelectionMode(rawValue: record.parameters.select) else {
      throw RunFailure(
        .data, "\(shown(mask.path)): it is not known how --select \(quoted(record.parameters.select)) divides a budget")
    }
    // The reader has checked that every shape has two sides, but not what all matrices add up to.
    let matrices = record.matrices.map { Sides(rows: $0.shape[0], columns: $0.shape[1]) }
    guard matrices.reduce(0, { $0.addingSaturated($1.size) }) < .max else {
      throw RunFailure(.data, "\(shown(mask.path)): no checkpoint has as many weights as its matrices")
    }
    let histograms = try RecordedHistograms(path, sizes: matrices.map(\.size))
    guard select != .global || histograms.sharesUnits else {
      throw RunFailure(.data, "\(shown(path)): matrices under one threshold have values in different units")
    }
    let importance = record.matrices.map { $0.importance * ($0.qualityWeight ?? 1) }
    guard importance.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      throw RunFailure(.data, "\(shown(mask.path)): the importance of a matrix is no share")
    }
    let block = record.parameters.block
    // Fewer weights than the largest block are left over where the next block does not fit.
    let rooms = matrices.map { matrix in
      block.map { BlockGrid(rows: matrix.rows, columns: matrix.columns, side: $0).largest - 1 } ?? 0
    }
    steps = try budgets.map { point in
      let keep = try point.budget.resolve(of: matrices)
      let masks =
        switch Quota(keep, of: point.budget, by: select, matrices, importance: importance, block: block) {
        case .global(let keep): histograms.selected(keeping: keep, room: rooms.max() ?? 0)
        case .each(let counts):
          counts.enumerated().map { histograms.selected(of: $0, keeping: $1, room: rooms[$0]) }
        }
      return Step(budget: point.text, K: keep, layers: Self.layers(record, masks, keep: keep))
    }
  }

  /// Adds up what the matrices of each layer keep, in the order of ordinals.
  private static func layers(_ record: MaskRecord, _ masks: [EstimatedMask], keep: Int) -> [Layer] {
    struct Sum {
      var mask = EstimatedMask()
      var weights = 0
    }
    var sums: [LayerPlace: Sum] = [:]
    for (matrix, mask) in zip(record.matrices, masks) {
      var sum = sums[matrix.place] ?? Sum()
      sum.weights += matrix.shape[0] * matrix.shape[1]
      sum.mask.count += mask.count
      sum.mask.least += mask.least
      sum.mask.most += mask.most
      sum.mask.sum += mask.sum.times(powerOfTwo: matrix.scoreExponent)
      sums[matrix.place] = sum
    }
    let places = LayerTotals(record.matrices).layers.map(\.place)
    let found = places.map { sums[$0] ?? Sum() }
    let selected = found.map { $0.mask.sum.isFinite ? $0.mask.sum : nil }
    let whole = ModelShares(selected)
    return zip(places, found).map { place, sum in
      let (mask, selected) = (sum.mask, sum.mask.sum.isFinite ? sum.mask.sum : nil)
      return Layer(
        place: place, kept: mask.count, keptBound: max(mask.count - mask.least, mask.most - mask.count),
        keptShare: Double(mask.count) / Double(max(sum.weights, 1)),
        shareOfKept: keep > 0 ? Double(mask.count) / Double(keep) : 0, selectedScoreSum: selected,
        shareOfScores: selected.map(whole.share))
    }
  }

  /// The sides of a recorded matrix.
  private struct Sides: MatrixSides {
    let rows: Int
    let columns: Int
  }
}
