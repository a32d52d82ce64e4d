import DistSVD
import RunCore

extension SparseEntries {
  /// The entries of M, by row and then by column, none twice.
  struct Positions {
    var rows: [Int64] = []
    var columns: [Int64] = []

    fileprivate mutating func append(_ row: Int, _ column: Int) {
      rows.append(Int64(row))
      columns.append(Int64(column))
    }

    fileprivate init() {}

    /// - Parameter places: places in a matrix of order `order`, row by row.
    fileprivate init(_ places: [Int], order: Int) {
      for place in places.sorted() { append(place / order, place % order) }
    }
  }

  /// Finds the entries of a matrix.
  ///
  /// - Parameters:
  ///   - triplets: all triplets, as they are stored.
  ///   - tensor: the checkpoint's name of the matrix, which random entries depend on.
  func positions(_ triplets: SingularTriplets, rows: Int, columns: Int, seed: UInt64, tensor: String) throws
    -> Positions
  {
    let order = min(rows, columns)
    switch pattern {
    case .plain, .banded:
      var found = Positions()
      for row in 0..<order {
        for column in max(0, row - diagonals)...min(order - 1, row + diagonals) { found.append(row, column) }
      }
      return found
    case .random:
      return Positions(drawn(order: order, seed: seed, tensor: tensor), order: order)
    case .topK:
      let likeness = try self.likeness(triplets, rows: rows, columns: columns)
      // The largest first; of equal ones the first.
      let ranked = likeness.indices.sorted { (likeness[$1], $0) < (likeness[$0], $1) }
      return Positions(Array(ranked.prefix(count(order: order))), order: order)
    }
  }

  /// Draws different places, as many as there are entries.
  private func drawn(order: Int, seed: UInt64, tensor: String) -> [Int] {
    let (all, wanted) = (order * order, count(order: order))
    // Where more than half are wanted, the others are drawn, so that few draws are repeated.
    let isInverted = wanted > all / 2
    let number = isInverted ? all - wanted : wanted
    let random = RandomNumbers(seed: seed, tensor: tensor, for: .entries)
    var drawn: Set<Int> = []
    var (next, batch): (UInt64, [UInt64]) = (0, [UInt64](repeating: 0, count: 4096))
    while drawn.count < number {
      random.fill(&batch, from: next)
      next += UInt64(batch.count)
      for bits in batch where drawn.count < number { drawn.insert(Int(bits.multipliedFullWidth(by: UInt64(all)).high)) }
    }
    return isInverted ? (0..<all).filter { !drawn.contains($0) } : Array(drawn)
  }

  /// What `top-k` ranks, `order × order`, row by row.
  private func likeness(_ triplets: SingularTriplets, rows: Int, columns: Int) throws -> [Double] {
    let order = min(rows, columns)
    let (u, v) = (triplets.left.elements, triplets.right.elements)
    guard rows == columns else {
      // Of U, m × p, and Vᵀ, p × n, one is square.
      guard rows == order else { return v.map(Double.init) }
      var turned = [Double](repeating: 0, count: order * order)
      for column in 0..<order {
        for row in 0..<order { turned[row * order + column] = Double(u[column * order + row]) }
      }
      return turned
    }
    return try DenseProducts.square(u, v, order: order, transposesFirst: topKRule != .repo)
  }
}
