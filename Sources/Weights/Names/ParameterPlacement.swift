/// Where the elements of a checkpoint tensor lie in a parameter of a module.
///
/// Element (i₀, i₁, …) of the tensor is the parameter's element whose index along axis `axes[d]` is `start[axes[d]] + i_d`, and `start[a]`
/// along every axis `a` that `axes` does not name. So flat indices of the tensor become flat indices of the parameter by one affine rule:
/// unravel, scatter, ravel.
package struct ParameterPlacement: Sendable, Equatable {
  /// The parameter's name in the module that the checkpoint describes.
  package let parameter: String
  /// Its sizes.
  package let shape: [Int]
  /// Where the tensor's first element lies: as many numbers as `shape`.
  package let start: [Int]
  /// For each dimension of the tensor, the parameter's axis that it runs along.
  package let axes: [Int]

  /// The whole of a parameter, element for element.
  init(whole parameter: String, shape: [Int]) {
    self.parameter = parameter
    self.shape = shape
    start = shape.map { _ in 0 }
    axes = Array(shape.indices)
  }

  /// The whole of a stack whose matrices are stored the other way round: `shape` is the tensor's, [E, in, out].
  init(transposed parameter: String, shape: [Int]) {
    self.parameter = parameter
    self.shape = Array(shape.prefix(1)) + shape.dropFirst().reversed()
    start = shape.map { _ in 0 }
    axes = [0, 2, 1]
  }

  /// Rows from `row` on of matrix `expert` of a stack of `shape`.
  init(stack parameter: String, shape: [Int], expert: Int, row: Int) {
    self.parameter = parameter
    self.shape = shape
    start = [expert, row, 0]
    axes = [1, 2]
  }
}
