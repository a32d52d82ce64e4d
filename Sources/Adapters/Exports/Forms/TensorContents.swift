import DistSVD
import RunCore
import ShardIO
import Weights

/// Makes the elements of adapters from the triplets of a matrix, and writes them.
struct TensorContents {
  /// The elements that are made at a time.
  private static let bandElements = 1 << 20

  private let triplets: SingularTriplets
  private let matrix: Catalog.Matrix
  private let choice: ExportChoice
  private let entries: Cached<SparseEntries.Positions>

  /// A value that is made when it is first needed.
  private final class Cached<Value> { var value: Value? }

  init(_ triplets: SingularTriplets, of matrix: Catalog.Matrix, _ choice: ExportChoice) throws {
    guard triplets.values.allSatisfy({ Float($0).isFinite }) else {
      throw RunFailure(
        .data,
        "tensor \(quoted(matrix.name)): its largest singular value is more than single precision holds; leave it out of --target-modules"
      )
    }
    (self.triplets, self.matrix, self.choice) = (triplets, matrix, choice)
    entries = Cached()
  }

  /// Writes a tensor whole.
  func write(_ tensor: TripletTensor, to writer: PlaceWriter) throws {
    switch tensor.content {
    case .vectors(let vectors): try write(vectors, dtype: tensor.dtype, to: writer)
    case .values(let weight, let signs):
      try writer.write(signs.flatMap { sign in triplets.values.map { Float(sign * weight($0)) } })
    case .zeros:
      var left = tensor.shape.reduce(1, *)
      while left > 0 {
        let count = min(left, Self.bandElements)
        try writer.write([Float](repeating: 0, count: count))
        left -= count
      }
    case .projections:
      let random = RandomNumbers(seed: choice.seed, tensor: matrix.name, for: .projections)
      let spread = 1 / Double(max(triplets.count, 1)).squareRoot()
      try writer.write(random.normal(tensor.shape.reduce(1, *)).map { Float(spread * $0) })
    case .entries(let isRow):
      let positions = try positions()
      try writer.write(isRow ? positions.rows : positions.columns)
    }
  }

  private func positions() throws -> SparseEntries.Positions {
    if let known = entries.value { return known }
    let found = try choice.entries.positions(
      triplets, rows: matrix.rows, columns: matrix.columns, seed: choice.seed, tensor: matrix.name)
    entries.value = found
    return found
  }

  private func write(_ vectors: TripletTensor.Vectors, dtype: DType, to writer: PlaceWriter) throws {
    let buffer = vectors.isLeft ? triplets.left : triplets.right
    let (count, dimension) = (triplets.count, vectors.isLeft ? matrix.rows : matrix.columns)
    let factors = vectors.signs.map { sign in triplets.values.map { sign * vectors.weight($0) } }
    func put(_ numbers: [Double]) throws {
      switch dtype {
      case .bf16: try writer.write(numbers.map { BFloat16.bits(nearest: $0) })
      default: try writer.write(numbers.map { Float($0) })
      }
    }
    if vectors.isRow {
      for factors in factors {
        for k in 0..<count {
          for first in stride(from: 0, to: dimension, by: Self.bandElements) {
            let part = k * dimension + first..<k * dimension + min(dimension, first + Self.bandElements)
            try put(part.map { factors[k] * Double(buffer.elements[$0]) })
          }
        }
      }
      return
    }
    // Vectors are kept by columns and stored by rows, so they are turned a band of rows at a time.
    let width = count * factors.count
    let height = max(1, Self.bandElements / max(width, 1))
    for first in stride(from: 0, to: dimension, by: height) {
      let lines = first..<min(dimension, first + height)
      var turned = [Float](repeating: 0, count: lines.count * width)
      turned.withUnsafeMutableBufferPointer { target in
        for block in factors.indices {
          guard let start = target.baseAddress else { return }
          turn(buffer.elements, lines, of: dimension, columns: count, into: start + block * count, width: width)
        }
      }
      let scales = factors.flatMap { $0 }
      try put(turned.indices.map { scales[$0 % width] * Double(turned[$0]) })
    }
  }
}
