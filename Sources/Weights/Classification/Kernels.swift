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

  /// Whether kernels hold more weights than all matrices that are no tables.
  ///
  /// - Parameter isTable: whether the tensor of rank 2 at a position looks up vectors or gives outputs.
  /// - Complexity: O(n) for n tensors; `isTable` is called only if there are kernels.
  static func holdMost(of tensors: [CheckpointTensor], _ tree: NameTree, isTable: (Int) -> Bool) -> Bool {
    var kernels = 0.0
    var others: [Int] = []
    for (index, tensor) in tensors.enumerated()
    where tensor.info.dtype.isFloatingPoint && tensor.info.shape.count >= 2 {
      // A mask from position to position has one output.
      let isKernel =
        tensor.info.shape.count >= 3 && tensor.info.shape[0] >= 2 && isKernel(tensor.info, tree.path(ofTensor: index))
      if isKernel { kernels += Double(tensor.info.elementCount) } else { others.append(index) }
    }
    guard kernels > 0 else { return false }
    let matrices = others.reduce(0.0) { sum, index in
      let info = tensors[index].info
      return info.shape.count == 2 && isTable(index) ? sum : sum + Double(info.elementCount)
    }
    return kernels > matrices
  }
}
