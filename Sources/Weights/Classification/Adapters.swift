import ShardIO
import SystemPackage

/// Tells whether a checkpoint is an adapter: the difference that a fine-tuning has made, without the model that it belongs to.
///
/// Three things tell, each of them alone: the file's name with a configuration beside it, what the file says of itself, and that all its
/// matrices are pairs of thin factors, where a model would have vectors of norms and an embedding too.
enum Adapters {
  static let configName = "adapter_config.json"

  /// The reason why all tensors of a checkpoint are refused; nil if it is no adapter.
  static func reason(_ checkpoint: Checkpoint, _ tree: NameTree) -> String? {
    let names = (try? Folder.names(in: ModelConfig.folder(of: checkpoint.path))) ?? []
    let isModel = names.contains(ModelConfig.fileName)
    if names.contains(configName) {
      let used = Set(checkpoint.shards.map { ExactName($0.fileName) })
      // The configuration may be that of an adapter that lies beside the model.
      let isOfAnother = names.contains { isNamed($0) && !used.contains(ExactName($0)) }
      if checkpoint.shards.allSatisfy({ isNamed($0.fileName) }) || !(isModel || isOfAnother) {
        return "belongs to an adapter, as \(configName) beside it tells"
      }
    }
    for shard in checkpoint.shards where !isModel {
      // Keys of trainers: ss_network_module, lora_adapter_metadata, and their like.
      let key = shard.header.metadata.keys.first { key in
        let words = TensorName.words(of: key.string)
        return words.contains("lora") || words.contains("adapter") || words.starts(with: ["ss", "network"])
      }
      if let key { return "belongs to an adapter, as the entry \(quoted(key.string)) of the file's metadata tells" }
    }
    return areFactors(checkpoint.tensors, tree)
      ? "belongs to an adapter: all matrices here are pairs of thin factors, without a base" : nil
  }

  /// Whether a file has the name of an adapter's weights.
  private static func isNamed(_ file: String) -> Bool {
    let stem = String(file.utf8.prefix { $0 != UInt8(ascii: ".") }) ?? ""
    return file.hasSuffix(".safetensors") && TensorName.words(of: stem).contains("adapter")
  }

  /// Whether nearly all matrices come in groups of thin factors that share their inner dimension, without the rest of a model.
  ///
  /// - Complexity: O(n) for n tensors.
  private static func areFactors(_ tensors: [CheckpointTensor], _ tree: NameTree) -> Bool {
    var groups: [NameTree.Node: [[Int]]] = [:]
    var vectors: [NameTree.Node] = []
    for (index, tensor) in tensors.enumerated() where tensor.info.elementCount > 1 {
      let (info, group) = (tensor.info, tree.path(ofTensor: index).block)
      guard info.dtype.isFloatingPoint else { return false }
      // Convolutions have factors too: [r, inputs, height, width] and [outputs, r, 1, 1].
      let shape = [info.shape[0], info.elementCount / max(info.shape[0], 1)]
      if info.shape.count < 2 { vectors.append(group) } else { groups[group, default: []].append(shape) }
    }
    let factors = groups.filter { $0.key != NameTree.root && areFactors($0.value) }
    let (found, all) = (factors.values.reduce(0) { $0 + $1.count }, groups.values.reduce(0) { $0 + $1.count })
    guard factors.count > 1, found >= all - all / 10 else { return false }
    // A model has vectors of norms elsewhere. Those of an adapter, such as magnitudes, lie with its factors.
    return vectors.allSatisfy { factors[$0] != nil || factors[tree.parent(of: $0)] != nil }
  }

  /// Whether matrices of one group are factors: each has the same small dimension, which is the inner one of their product.
  private static func areFactors(_ shapes: [[Int]]) -> Bool {
    guard shapes.count >= 2, shapes.count <= 4, let rank = shapes.compactMap({ $0.min() }).min() else { return false }
    let outputs = shapes.filter { $0[1] == rank && $0[0] / 6 >= rank }.count
    let inputs = shapes.filter { $0[0] == rank && $0[1] / 6 >= rank }.count
    return outputs == inputs && outputs + inputs == shapes.count
  }
}
