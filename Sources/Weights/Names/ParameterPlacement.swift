/// Where the elements of a checkpoint tensor lie in a parameter of a module.
///
/// Element (i₀, i₁, …) of the tensor is the parameter's element whose index along axis `axes[d]` is `start[axes[d]] + i_d`, and `start[a]`
/// along every axis `a` that `axes` does not name. So flat indices of the tensor become flat indices of the parameter in three steps:
/// unravel the index over the tensor's shape, add it to `start` along `axes`, and ravel the sum over `shape`.
package struct ParameterPlacement: Sendable, Equatable {
  /// The parameter's name in the module that the checkpoint describes.
  package let parameter: String
  /// The parameter's shape.
  package let shape: [Int]
  /// The index of the tensor's first element in the parameter, one number for each axis of `shape`.
  package let start: [Int]
  /// The parameter's axis that each dimension of the tensor runs along.
  package let axes: [Int]

  /// Places a tensor that is the whole parameter, element for element.
  init(whole parameter: String, shape: [Int]) {
    self.parameter = parameter
    self.shape = shape
    start = shape.map { _ in 0 }
    axes = Array(shape.indices)
  }

  /// Places a tensor that is a whole stack with its matrices transposed.
  ///
  /// - Parameter shape: the tensor's shape, [E, in, out]; the parameter has [E, out, in].
  init(transposed parameter: String, shape: [Int]) {
    self.parameter = parameter
    self.shape = Array(shape.prefix(1)) + shape.dropFirst().reversed()
    start = shape.map { _ in 0 }
    axes = [0, 2, 1]
  }

  /// Places a tensor that holds rows of one expert in a stack.
  ///
  /// - Parameters:
  ///   - shape: the shape of the stack, [E, rows, columns].
  ///   - expert: the position of the expert.
  ///   - row: the row of the expert's matrix where the tensor begins.
  init(stack parameter: String, shape: [Int], expert: Int, row: Int) {
    self.parameter = parameter
    self.shape = shape
    start = [expert, row, 0]
    axes = [1, 2]
  }
}
