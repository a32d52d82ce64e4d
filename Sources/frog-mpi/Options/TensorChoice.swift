import Weights
import ArgumentParser
import FROGDist

/// The options that say which tensors count, and what in them is a matrix.
struct TensorChoice: ParsableArguments {
  @Option(help: ArgumentHelp("Count tensors that match, even if they would be left out.", valueName: "glob"))
  var include: [String] = []

  @Option(help: ArgumentHelp("Leave out tensors that match, such as '*.mlp.*'.", valueName: "glob"))
  var exclude: [String] = []

  @Flag(
    inversion: .prefixedNo,
    help: "Count convolutions, as outputs × (inputs · height · width). (default: for vision models, by config.json)")
  var conv: Bool?

  @Flag(
    help: ArgumentHelp(
      "Take qkv_proj, query_key_value, gate_up_proj and GPT-2's c_attn apart, by config.json: each part is a matrix of its own."
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
