import DistSVD
import ShardIO
import Weights

/// Which matrices write to the residual stream, and which read it next.
struct StreamOrder {
  /// A matrix that writes, and one that reads what it has written, by ordinal.
  struct Pair: Equatable {
    let writer: Int
    let reader: Int
  }

  /// The pairs, in the order of writers and readers.
  let pairs: [Pair]

  /// Pairs the matrices of a checkpoint by their roles and layers.
  ///
  /// In each layer the output of attention is read by the queries of cross-attention, if there is any, and then by the feed-forward part.
  /// The output of that is read by the attention of the next layer of the same stack, whose number may be any larger one. Where parts of a
  /// layer may stand beside each other, nothing tells who reads what, and no pairs are made. Experts are left out, since each token meets
  /// only some of them.
  ///
  /// - Complexity: O(n log n). A part of a layer has one writer, so there are no more pairs than matrices.
  init(_ catalog: Catalog, _ roles: MatrixRoles) {
    // 1. Sort the matrices into parts of layers.
    var layers: [LayerStructure.Layer: StreamLayer] = [:]
    for (ordinal, matrix) in catalog.matrices.enumerated() {
      let role = roles[matrix]
      guard let layer = role.layer else { continue }
      let isBound = !role.isExpert && catalog.kernelPositions(of: matrix) == nil
      // A layer without such matrices is a layer all the same, and what follows it is not read by the one before.
      layers[layer, default: StreamLayer()].add(ordinal, matrix.name, role, isBound: isBound)
    }
    // 2. Pair within each layer, and with the next.
    let stacks = Dictionary(grouping: layers.keys) { ExactName($0.stack) }
    var pairs: [Pair] = []
    for stack in stacks.values {
      let ordered = stack.sorted { $0.number < $1.number }.map { (layers[$0] ?? StreamLayer()).sequence(in: $0) }
      for (position, layer) in ordered.enumerated() {
        pairs += layer.pairs
        if let writer = layer.last, position + 1 < ordered.count {
          pairs += ordered[position + 1].first.map { Pair(writer: writer, reader: $0) }
        }
      }
    }
    func width(_ ordinal: Int) -> Int {
      let matrix = catalog.matrices[ordinal]
      return roles.side(of: matrix, in: catalog) == .left ? matrix.rows : matrix.columns
    }
    self.pairs = pairs.filter { width($0.writer) == width($0.reader) }.sorted {
      ($0.writer, $0.reader) < ($1.writer, $1.reader)
    }
  }
}

extension MatrixRoles {
  /// The side of a matrix on which the residual stream is; nil if none is known, and for convolutions.
  func side(of matrix: Catalog.Matrix, in catalog: Catalog) -> LeadingVectors.Side? {
    guard catalog.kernelPositions(of: matrix) == nil else { return nil }
    let role = self[matrix]
    switch role.stream {
    case .reads: return role.isTransposed ? .left : .right
    case .writes: return role.isTransposed ? .right : .left
    case nil: return nil
    }
  }
}

extension MetricChoice {
  /// The side of the residual stream, of a matrix whose leading vectors are to be compared; nil if they are not.
  func side(of matrix: Catalog.Matrix, in catalog: Catalog, _ roles: MatrixRoles) -> LeadingVectors.Side? {
    overlap > 0 ? roles.side(of: matrix, in: catalog) : nil
  }
}
