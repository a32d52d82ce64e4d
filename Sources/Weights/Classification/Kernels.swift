import ShardIO

/// Tells which tensors are kernels of convolutions, and whether a model is made of them.
enum Kernels {
  /// Whether a tensor is the kernel of a convolution over one to three dimensions: outputs × inputs × positions.
  ///
  /// Rank 4 is one by its rank. With rank 3 and 5 it is the `weight` of a module, and no more than 64 positions long in each dimension.
  static func isKernel(_ info: TensorInfo, _ path: TensorPath) -> Bool {
    guard info.dtype.isFloatingPoint, !info.dtype.isEightBit else { return false }
    switch info.shape.count {
    case 4: return true
    case 3, 5: return !path.isBareParameter && info.shape[2...].allSatisfy { (1...64).contains($0) }
    default: return false
    }
  }

  /// Whether kernels hold most of the floating-point elements of a checkpoint.
  ///
  /// - Complexity: O(n).
  static func holdMost(of tensors: [CheckpointTensor], _ tree: NameTree) -> Bool {
    var (kernels, all) = (0.0, 0.0)
    for (index, tensor) in tensors.enumerated() where tensor.info.dtype.isFloatingPoint {
      let count = Double(tensor.info.elementCount)
      all += count
      if tensor.info.shape.count >= 3, isKernel(tensor.info, tree.path(ofTensor: index)) { kernels += count }
    }
    return kernels > all / 2
  }
}
