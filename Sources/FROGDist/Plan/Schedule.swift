import DistSVD
import HeapModule

/// Which rank decomposes which matrix.
public struct Schedule: Sendable {
  /// Ordinals of each rank's matrices, the most work first.
  public let matrices: [[Int]]
  /// Predicted work of each matrix by ordinal.
  public let work: [CostModel.Work]

  /// Longest processing time first: the matrix with the most work goes to the rank that has the least so far; the lower
  /// ordinal and the lower rank go first among equals.
  ///
  /// The same on every rank, without talking. Its longest rank has at most 4/3 of the optimal load (Graham 1969).
  ///
  /// - Complexity: O(count · log count).
  public init(_ catalog: Catalog, ranks: Int, precision: Precision) {
    let work = catalog.matrices.map { CostModel.work(rows: $0.rows, columns: $0.columns, precision: precision) }
    let order = work.indices.sorted { (work[$1].total, $0) < (work[$0].total, $1) }
    var loads = Heap((0..<ranks).map { Load(rank: $0, work: 0) })
    var assigned = [[Int]](repeating: [], count: ranks)
    for ordinal in order {
      guard var least = loads.popMin() else { break }
      assigned[least.rank].append(ordinal)
      least.work += work[ordinal].total
      loads.insert(least)
    }
    self.matrices = assigned
    self.work = work
  }

  private struct Load: Comparable {
    let rank: Int
    var work: Double

    static func < (a: Load, b: Load) -> Bool { (a.work, a.rank) < (b.work, b.rank) }
  }
}

/// How long the stages of one matrix take, relative to each other.
public enum CostModel {
  /// The stages of one matrix, in units of one single-precision operation.
  public struct Work: Sendable {
    /// Gram matrix and eigensolver.
    public let basis: Double
    /// The two products.
    public let scores: Double

    /// All of it.
    public var total: Double { basis + scores }
  }

  /// Operations of the stages (Gram mn·min, eigensolver 9·min³, scores 4·mn·min), each weighted by how much slower one of
  /// them runs than one of a large single-precision product.
  public static func work(rows: Int, columns: Int, precision: Precision) -> Work {
    let core = Double(min(rows, columns))
    let stream = Double(max(rows, columns))
    // Measured with one thread at order 2048: scripts/bench-stages.
    let (gram, eigensolver) = precision == .f64 ? (2.0, 1.2) : (1.0, 0.8)
    return Work(
      basis: gram * stream * core * core + eigensolver * 9 * core * core * core, scores: 4 * stream * core * core)
  }
}
