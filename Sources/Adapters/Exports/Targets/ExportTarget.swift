import RunCore
import ShardIO
import Weights

/// A weight matrix that gets adapters: a linear layer of the model.
struct ExportTarget: Codable, Sendable {
  /// The ordinal of the matrix in the catalog of all matrices.
  let ordinal: Int
  /// The checkpoint's name of the weight.
  let tensor: String
  /// The path of its module in the model that transformers loads.
  let module: String
  /// Whether the weight is stored as inputs × outputs, as GPT-2's Conv1D is.
  let isTransposed: Bool
  /// Whether the model has experts with matrices of the same last name.
  let isNamedAsExpert: Bool
  /// The rows and columns as stored.
  let rows: Int
  let columns: Int

  /// min(m, n).
  var order: Int { min(rows, columns) }
  /// The last piece of the module's path.
  var lastName: String { String(module.split(separator: ".").last ?? "") }
}

/// The linear layers of a checkpoint, and what keeps others from being some.
struct LinearLayers {
  let targets: [ExportTarget]
  /// The parameters that the checkpoint's tensors become.
  let names: TransformersNames
  /// The paths of modules that cannot get adapters, and why.
  private let others: [(module: String, reason: String)]
  /// What other commands count as weight matrices, and cannot get adapters; nil if there is nothing.
  let counted: Others?

  /// Weight matrices that cannot get adapters.
  struct Others: Codable, Sendable {
    /// The number of matrices.
    var count = 0
    /// The path of a module of the first of them, and why it can have none.
    let module: String
    let reason: String
  }

  /// Looks through the tensors of a checkpoint.
  ///
  /// A linear layer is a weight matrix of rank 2 that is a parameter of its own in the model that transformers loads.
  init(_ classified: ClassifiedCheckpoint, _ catalog: Catalog) {
    let infos = classified.tensors.map(\.tensor.info)
    names = TransformersNames(
      modelType: classified.config.modelType, tensors: infos.map { ($0.name, $0.shape) })
    let placements = Dictionary(names.entries.map { (ExactName($0.tensor), $0) }) { first, _ in first }
    let ordinals = Dictionary(grouping: catalog.matrices.indices) {
      ExactName(catalog.tensors[catalog.matrices[$0].tensor].name)
    }
    let orientation = LinearOrientation(infos)
    let experts = ExpertNames(infos.filter { $0.shape.count >= 2 }.map(\.name))
    var targets: [ExportTarget] = []
    var others: [(module: String, reason: String)] = []
    var counted: Others?
    for entry in classified.tensors where entry.tensor.info.shape.count >= 2 {
      let info = entry.tensor.info
      let placement = placements[ExactName(info.name)]
      let parameter = placement?.placement?.parameter ?? info.name
      guard parameter.hasSuffix(".weight") || entry.matrixCount > 0 else { continue }
      let module = parameter.hasSuffix(".weight") ? String(parameter.dropLast(7)) : parameter
      func leaveOut(_ reason: String) {
        others.append((module, reason))
        if entry.matrixCount > 0 {
          counted = counted ?? Others(module: module, reason: reason)
          counted?.count += entry.matrixCount
        }
        // Somebody may know the module by the checkpoint's own name.
        let own = info.name.hasSuffix(".weight") ? String(info.name.dropLast(7)) : info.name
        if own != module { others.append((own, reason)) }
      }
      if let reason = entry.tensorClass.reason {
        leaveOut("it is left out (\(reason)); count it with --include if it is a linear layer")
      } else if placement != nil, placement?.placement == nil {
        leaveOut("transformers does not load it")
      } else if let placed = placement?.placement, placed.shape.count > 2 {
        leaveOut(
          "transformers loads it as a part of \(quoted(placed.parameter)), a stack of experts, and not as a linear layer"
        )
      } else if ExpertNames.isExpert(module) {
        leaveOut("it is one of many experts, which transformers 5 loads as stacks, and not as linear layers")
      } else if entry.tensorClass == .conv || info.shape.count > 2 {
        leaveOut(entry.tensorClass == .conv ? "it is a convolution" : "it is a stack of matrices")
      } else if !parameter.hasSuffix(".weight") {
        leaveOut("it is a parameter, and no weight of a linear layer")
      } else if let found = ordinals[ExactName(info.name)], found.count == 1 {
        let matrix = catalog.matrices[found[0]]
        targets.append(
          ExportTarget(
            ordinal: found[0], tensor: info.name, module: module,
            isTransposed: orientation.isTransposed(info), isNamedAsExpert: experts.contains(lastOf: module),
            rows: matrix.rows, columns: matrix.columns))
      }
    }
    self.targets = targets.sorted { $0.ordinal < $1.ordinal }
    self.others = others
    self.counted = counted
  }

  /// The linear layers that `modules` names.
  ///
  /// - Throws: ``RunFailure`` if a name chooses none of them, saying why or what there is.
  func chosen(by modules: TargetModules) throws -> [ExportTarget] {
    let (isChosen, idle) = try modules.choice(among: targets.map(\.module))
    guard idle.isEmpty else {
      let name = idle[0]
      let refused = try (TargetModules(rawValue: name) ?? modules).choice(among: others.map(\.module)).isChosen
      if let index = refused.firstIndex(of: true), modules != .allLinear {
        let (module, reason) = others[index]
        let what = name == module ? quoted(name) : "\(quoted(name)) is \(quoted(module)), which"
        throw RunFailure(.usage, "--target-modules: \(what) gets no adapter: \(reason)")
      }
      throw RunFailure(
        .usage, "--target-modules: \(quoted(name)) is no linear layer of the checkpoint, which has \(layerNames)")
    }
    return zip(targets, isChosen).filter(\.1).map(\.0)
  }

  /// The last pieces of the layers' paths, each once, for a message.
  private var layerNames: String {
    let pieces = Set(targets.map(\.lastName)).sorted()
    guard !pieces.isEmpty else { return "none" }
    let shown = pieces.prefix(20).map { quoted($0) }.joined(separator: ", ")
    return pieces.count > 20 ? "\(shown) and \(pieces.count - 20) others" : shown
  }
}

/// Whether the linear layers of a model store inputs × outputs, by the lengths of their biases.
///
/// A bias is as long as the outputs. Where all layers with two different sides agree, square ones are stored as those are.
private struct LinearOrientation {
  private var biases: [ExactName: Int] = [:]
  private var votes = (rows: 0, columns: 0)

  init(_ infos: [TensorInfo]) {
    for info in infos where info.shape.count == 1 && info.name.hasSuffix(".bias") {
      biases[ExactName(String(info.name.dropLast(5)))] = info.shape[0]
    }
    for info in infos where info.shape.count == 2 && info.shape[0] != info.shape[1] {
      guard let bias = bias(of: info) else { continue }
      if bias == info.shape[0] { votes.rows += 1 }
      if bias == info.shape[1] { votes.columns += 1 }
    }
  }

  private func bias(of info: TensorInfo) -> Int? {
    info.name.hasSuffix(".weight") ? biases[ExactName(String(info.name.dropLast(7)))] : nil
  }

  func isTransposed(_ info: TensorInfo) -> Bool {
    if info.shape[0] != info.shape[1], let bias = bias(of: info) { return bias == info.shape[1] }
    return votes.columns > 0 && votes.rows == 0
  }
}

/// The last names of experts' matrices, such as `gate_proj`.
private struct ExpertNames {
  private var names: Set<Substring> = []

  /// - Parameter tensors: the names of all matrices of a checkpoint.
  init(_ tensors: [String]) {
    for tensor in tensors {
      var pieces = tensor.split(separator: ".")[...]
      if pieces.last == "weight" { pieces = pieces.dropLast() }
      guard pieces.dropLast().contains("experts"), let last = pieces.last else { continue }
      // A stack may fuse gate and up projection. The router counts as one of the experts to PEFT.
      names.formUnion(last == "gate_up_proj" ? ["gate_proj", "up_proj", last] : [last])
      names.insert("gate")
    }
  }

  /// Whether the last piece of a path is the last name of an expert's matrix.
  func contains(lastOf module: String) -> Bool { module.split(separator: ".").last.map(names.contains) ?? false }

  /// Whether a path leads through a numbered expert.
  static func isExpert(_ module: String) -> Bool {
    let pieces = module.split(separator: ".")
    return zip(pieces, pieces.dropFirst()).contains { $0 == "experts" && Int($1) != nil }
  }
}
