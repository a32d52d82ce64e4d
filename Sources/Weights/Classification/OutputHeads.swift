import ShardIO

/// Finds the output heads among the tensors whose names tell of heads.
///
/// A head may be a chain of several layers, such as `classifier.dense` and `classifier.out_proj`. Only the last of a chain is the head: its
/// rows, the outputs, are not read by another layer of the chain. A square layer stands before a head, and counts as a matrix, in every
/// family of models alike.
struct OutputHeads {
  private struct Member {
    let name: ExactName
    let rows: Int
    let columns: Int
  }

  private var chains: [ExactName: [Member]] = [:]
  private let sizes: ModelSizes

  /// - Complexity: O(bytes of the names of all tensors of rank 2).
  init(_ tensors: [CheckpointTensor], sizes: ModelSizes) {
    self.sizes = sizes
    for tensor in tensors where tensor.info.shape.count == 2 && tensor.info.elementCount > 0 {
      let name = TensorName(tensor.info.name)
      guard let chain = Self.chain(of: name) else { continue }
      chains[chain, default: []].append(
        Member(name: ExactName(tensor.info.name), rows: tensor.info.shape[0], columns: tensor.info.shape[1]))
    }
  }

  /// The path up to the piece that names the head; nil if none does.
  private static func chain(of name: TensorName) -> ExactName? {
    name.headPiece.map { ExactName(name.parts[...$0].map(\.string).joined(separator: ".")) }
  }

  /// Why a tensor of rank 2 is an output head; nil if it is none.
  func finding(_ info: TensorInfo, _ name: TensorName, isInLayer: Bool) -> Tables.Finding? {
    let (rows, columns) = (info.shape[0], info.shape[1])
    guard let chain = Self.chain(of: name), let members = chains[chain] else {
      // A head of another name has an output for each label, and very few of them.
      let isNarrow = (rows <= 2 && columns / 8 >= rows) || (rows != columns && sizes.labels.contains(rows))
      let isHead = isNarrow && !isInLayer && !name.isBareParameter
      return isHead
        ? Tables.Finding(reason: "output head", evidence: "outside all layers, it has \(rows) outputs") : nil
    }
    if rows == columns, !sizes.vocabularies.contains(rows), !sizes.labels.contains(rows) { return nil }
    let isRead = members.contains { $0.columns == rows && $0.name != ExactName(info.name) }
    if isRead { return nil }
    return Tables.Finding(
      reason: "output head", evidence: members.count > 1 ? "its name; the last of \(members.count) layers" : "its name")
  }
}
