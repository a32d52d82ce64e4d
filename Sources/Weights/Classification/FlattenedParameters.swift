import ShardIO

/// The sign of a checkpoint that was saved in the shards of a training run: its matrices lie in a few long vectors.
///
/// FSDP and ZeRO concatenate the parameters of a module and cut the result for their processes. No name or shape says
/// where a matrix begins.
enum FlattenedParameters {
  /// The longest vector that a model has besides, in elements: the width of the widest models. A bias of a head with a large vocabulary
  /// has more, but not without matrices beside it.
  private static let longestVector = 1 << 14

  /// Whether more than 99% of all floating-point numbers lie in vectors that are longer than those of a model.
  ///
  /// - Complexity: O(tensors).
  static func fill(_ checkpoint: Checkpoint) -> Bool {
    var (all, flattened) = (UInt128(0), UInt128(0))
    for tensor in checkpoint.tensors where tensor.info.dtype.isFloatingPoint {
      let count = UInt128(tensor.info.elementCount)
      all += count
      guard tensor.info.shape.count == 1 else { continue }
      if count > longestVector || CheckpointModules.words(of: tensor.info).contains("flat") { flattened += count }
    }
    return flattened > 0 && flattened * 100 > all * 99
  }
}
