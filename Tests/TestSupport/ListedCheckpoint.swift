import ShardIO
import SystemPackage
import Weights

/// A checkpoint that is nothing but a list of tensors.
package func listed(_ tensors: [(name: String, dtype: DType, shape: [Int])]) throws -> Checkpoint {
  let entries = tensors.map { name, dtype, shape in "[\"\(name)\", \(shape), \"\(dtype.rawValue)\"]" }
  let folder = try TemporaryFolder()
  let file = try folder.write("{\"tensors\": [\(entries.joined(separator: ", "))]}", to: "shapes.json")
  return try ShapesFile.read(file, model: nil)
}

/// What becomes of the tensors of such a checkpoint.
package func classified(
  _ tensors: [(name: String, dtype: DType, shape: [Int])], config: ModelConfig = ModelConfig(),
  _ change: (inout CatalogOptions) -> Void = { _ in }
) throws -> ClassifiedCheckpoint {
  var options = CatalogOptions()
  change(&options)
  return try ClassifiedCheckpoint(listed(tensors), options: options, config: config, warnings: [])
}

/// The matrices of such a checkpoint.
package func catalog(
  _ tensors: [(name: String, dtype: DType, shape: [Int])], _ change: (inout CatalogOptions) -> Void = { _ in }
) throws -> Catalog {
  try classified(tensors, change).catalog()
}
