import ArgumentParser
import Weights

/// The options that say which tensors count, and what is a matrix in them.
struct TensorChoice: ParsableArguments {
  @Option(help: ArgumentHelp("Count tensors whose name matches, even if they would be left out.", valueName: "glob"))
  var include: [String] = []

  @Option(help: ArgumentHelp("Leave out tensors whose name matches, such as '*.mlp.*'.", valueName: "glob"))
  var exclude: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help:
      """
      Count convolutions, as matrices of outputs × (inputs · positions). (default: for models of images, by config.json, and where \
      kernels hold most of the model)
      """
  )
  var conv: Bool?

  @Flag(
    help: ArgumentHelp(
      """
      Take fused tensors apart, by config.json: qkv_proj, query_key_value, gate_up_proj and GPT-2's c_attn. Each part is then a matrix \
      of its own.
      """
    ))
  var splitFused = false

  var options: CatalogOptions {
    var options = CatalogOptions()
    options.filter = NameFilter(include: include, exclude: exclude)
    options.conv = conv
    options.splitFused = splitFused
    return options
  }
}
