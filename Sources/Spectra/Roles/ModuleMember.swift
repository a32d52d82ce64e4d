/// A matrix among those of its group, from whose names and shapes roles follow.
struct ModuleMember {
  let kind: ModuleName.Kind?
  let meaning: ModuleName.Meaning
  let sequence: Int?
  let isBare: Bool
  let inLayer: Bool
  let inputs: Int
  let outputs: Int
  /// Whether it is a stack, whose matrices may be stored either way.
  let isStack: Bool

  /// Whether the matrix goes from the width of the model to another one, or back.
  ///
  /// - Parameter width: the width of the model; nil if it is not known.
  /// - Returns: nil if the shape tells neither.
  func stream(width: Int?) -> MatrixRole.Stream? {
    guard !isStack, let width, (inputs == width) != (outputs == width) else { return nil }
    return inputs == width ? .reads : .writes
  }

  /// Whether the outputs of this matrix are those of gate and up projection together, of which `down` takes one.
  func isGateAndUp(of down: ModuleMember) -> Bool {
    func fits(_ inputs: Int, _ outputs: Int, _ down: (inputs: Int, outputs: Int)) -> Bool {
      outputs % 2 == 0 && outputs / 2 == down.inputs && inputs == down.outputs
    }
    return fits(inputs, outputs, (down.inputs, down.outputs))
      || (isStack && fits(outputs, inputs, (down.outputs, down.inputs)))
  }

  /// Whether nothing but a number names the matrix, as in `fc1` and in sequences.
  var isNumberedAlone: Bool {
    guard kind == nil else { return false }
    if case .numbered = meaning { return true }
    return meaning == .nothing && sequence != nil
  }

  /// Whether the matrix holds query, key and value projections of one width each.
  var isTriple: Bool { outputs % 3 == 0 && outputs / 3 == inputs }
}
