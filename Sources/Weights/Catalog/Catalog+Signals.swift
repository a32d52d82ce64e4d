import RunCore
import ShardIO

extension Catalog {
  /// The tensors of another checkpoint that say something of some tensors: those of the same names, with the same parts in them.
  ///
  /// - Parameters:
  ///   - checkpoint: the other checkpoint.
  ///   - tensors: the tensors that need one each.
  ///   - option: the option that asks for them, for messages.
  ///   - allowsVectors: whether a tensor may have one value for each column, and in a stack for each expert. Such a tensor counts as a matrix
  ///     of one row.
  /// - Throws: ``RunFailure`` if a tensor is missing, or has another shape or type.
  package init(signals checkpoint: Checkpoint, for tensors: [Tensor], option: String, allowsVectors: Bool) throws {
    var numbers: [Int: Int] = [:]
    var shards: [Shard] = []
    let tensors = try tensors.map { weights in
      let vector = weights.content.signalVectorShape
      let shapes = allowsVectors ? "\(vector) or \(weights.shape)" : "\(weights.shape)"
      guard let tensor = checkpoint.tensor(named: weights.name) else {
        let whose =
          allowsVectors
          ? "every weight matrix; leave the matrix out with --exclude"
          : "every target; leave it out of --target-modules"
        throw RunFailure(
          .data,
          "\(shown(checkpoint.path)) has no tensor \(quoted(weights.name)): \(option) needs one for \(whose), or add \(shapes)"
        )
      }
      let info = tensor.info
      let shard = checkpoint.shards[tensor.shard]
      let fits = info.shape == weights.shape || (allowsVectors && info.shape == vector)
      guard info.dtype.isDecodable, !info.dtype.isEightBit, fits else {
        throw RunFailure(
          .data,
          "\(shown(shard.path)): tensor \(quoted(info.name)) is \(info.dtype.rawValue) \(info.shape), should be "
            + "floating-point \(shapes)")
      }
      let number = numbers[tensor.shard] ?? shards.count
      if number == shards.count {
        numbers[tensor.shard] = number
        shards.append(Shard(shard))
      }
      return info.shape == weights.shape
        ? Tensor(tensor, shard: number, shape: info.shape, content: weights.content.unscaled)
        : Tensor(
          tensor, shard: number, shape: (weights.content.experts.map { [$0] } ?? []) + [1, weights.content.columns],
          content: weights.content.signalVector)
    }
    try self.init(shards: shards, tensors: tensors)
  }
}

extension MatrixContent {
  /// The shape of a tensor with one value for each column of the stored matrix, and for each expert of a stack.
  var signalVectorShape: [Int] { (experts.map { [$0] } ?? []) + [columns] }

  /// The parts of such a tensor: the same columns as here, in one row.
  var signalVector: MatrixContent {
    MatrixContent(
      rows: 1, columns: columns, experts: experts,
      parts: parts.map { .init(label: $0.label, rows: .init(all: 1), columns: $0.columns) }, scale: nil)
  }

  /// The same parts of a tensor of plain numbers, which have no scales.
  var unscaled: MatrixContent {
    var plain = self
    plain.scale = nil
    return plain
  }
}
