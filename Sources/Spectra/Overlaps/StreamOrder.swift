import DistSVD
import ShardIO
import Weights

/// Which matrices write to the residual stream, and which read it next.
struct StreamOrder {
  /// A matrix that writes, and one that reads what it has written, by ordinal.
  struct Pair {
    let writer: Int
    let reader: Int
  }

  let pairs: [Pair]

  /// Pairs the matrices of a checkpoint by what their names tell.
  ///
  /// The output of attention is read by the feed-forward part of its layer. The output of the feed-forward part is read by the attention of
  /// the next layer of the same stack. Experts are left out, since each token meets only some of them.
  init(_ catalog: Catalog) {
    struct Place: Hashable {
      let stack: [String]
      let depth: Int
      let role: String
    }
    var places: [Place: [Int]] = [:]
    for (ordinal, matrix) in catalog.matrices.enumerated() {
      guard matrix.expert == nil, !TensorName(matrix.name).isUnderExperts, Self.side(of: matrix, in: catalog) != nil
      else { continue }
      let role = MatrixRole(matrix.name, part: matrix.part)
      guard let depth = role.depth else { continue }
      places[Place(stack: role.stack, depth: depth, role: role.name), default: []].append(ordinal)
    }
    var pairs: [Pair] = []
    for (place, writers) in places where place.role == "o" || place.role == "down" {
      let isAttention = place.role == "o"
      let readers = isAttention ? ["gate", "up", "gate_up"] : ["q", "k", "v", "qkv"]
      let depth = isAttention ? place.depth : place.depth + 1
      for role in readers {
        for reader in places[Place(stack: place.stack, depth: depth, role: role)] ?? [] {
          pairs += writers.map { Pair(writer: $0, reader: reader) }
        }
      }
    }
    self.pairs = pairs.filter { Self.width($0.writer, catalog) == Self.width($0.reader, catalog) }.sorted {
      ($0.writer, $0.reader) < ($1.writer, $1.reader)
    }
  }

  /// The side of a matrix on which the residual stream is; nil if none is known, and for convolutions.
  static func side(of matrix: Catalog.Matrix, in catalog: Catalog) -> LeadingVectors.Side? {
    guard catalog.kernelPositions(of: matrix) == nil else { return nil }
    let stream = MatrixRole(matrix.name, part: matrix.part).stream
    // GPT-2 stores its matrices as inputs × outputs.
    let isTransposed = TensorName(matrix.name).module.string.utf8.starts(with: "c_".utf8)
    switch stream {
    case .reads: return isTransposed ? .left : .right
    case .writes: return isTransposed ? .right : .left
    case nil: return nil
    }
  }

  private static func width(_ ordinal: Int, _ catalog: Catalog) -> Int {
    let matrix = catalog.matrices[ordinal]
    return side(of: matrix, in: catalog) == .left ? matrix.rows : matrix.columns
  }
}

extension MetricChoice {
  /// The side of the residual stream, of a matrix whose leading vectors are to be compared; nil if they are not.
  func side(of matrix: Catalog.Matrix, in catalog: Catalog) -> LeadingVectors.Side? {
    overlap > 0 ? StreamOrder.side(of: matrix, in: catalog) : nil
  }
}
