import ShardIO

/// Finds the parts of fused tensors: query, key and value, or gate and up projections, that are stored as one matrix.
package enum FusedParts {
  /// Which rows and columns of the stored matrix one part takes.
  package struct Part: Codable, Sendable, Equatable {
    /// `q`, `k`, `v`, `gate` or `up`; nil for a matrix that is taken whole.
    package let label: String?
    let rows: IndexRuns
    package let columns: IndexRuns

    /// The number of rows that the part takes.
    package var rowCount: Int { rows.total }
    /// The number of columns that the part takes.
    package var columnCount: Int { columns.total }

    package init(label: String?, rows: IndexRuns, columns: IndexRuns) {
      self.label = label
      self.rows = rows
      self.columns = columns
    }
  }

  /// The parts of a fused tensor, or the reason why they are unknown.
  enum Finding {
    case parts([Part])
    case unknown(reason: String)
  }

  /// Finds the parts of a tensor from its name, its size, and what `config.json` says about heads and sizes.
  ///
  /// - Parameters:
  ///   - rows: the rows of the stored matrix, or of each matrix in a stack.
  ///   - columns: the columns of the stored matrix, or of each matrix in a stack.
  ///   - isStack: whether the tensor is a stack of experts.
  /// - Returns: nil if the name is not that of a fused tensor.
  static func find(name: String, rows: Int, columns: Int, isStack: Bool, config: ModelConfig) -> Finding? {
    let layout = FusedLayout(rows: rows, columns: columns, config: config)
    let parts: [Part]?
    switch TensorName(name).module {
    case "qkv_proj": parts = layout.stackedHeads()
    case "query_key_value": parts = layout.queryKeyValue()
    case "c_attn" where config.modelType == "gpt2": parts = layout.thirdsOfColumns()
    case "gate_up_proj": parts = isStack ? layout.expertGateUp() : layout.halvesOfRows()
    default: return nil
    }
    return parts.map { .parts($0) }
      ?? .unknown(reason: "is fused, and \(ModelConfig.fileName) does not tell how (\(layout.known))")
  }
}

/// The ways in which models lay out fused projections. Each method stands for one way, and returns nil unless the sizes add up.
private struct FusedLayout {
  let rows: Int
  let columns: Int
  let config: ModelConfig

  /// What config.json says about heads and sizes, for a message.
  var known: String {
    func text(_ name: String, _ value: Int?) -> String { "\(name) \(value.map(String.init) ?? "missing")" }
    return [
      "model_type \(config.modelType.map { quoted($0) } ?? "missing")", text("num_attention_heads", config.heads),
      text("num_key_value_heads", config.keyValueHeads), text("head_dim", config.headSize),
      text("hidden_size", config.hiddenSize),
    ].joined(separator: ", ")
  }

  /// The parts of `qkv_proj`: the rows of all query heads, then of all key heads, then of all value heads.
  func stackedHeads() -> [FusedParts.Part]? {
    guard let heads, let size = headSize else { return nil }
    return consecutive(query: heads, other: config.keyValueHeads ?? heads, size: size)
  }

  /// The parts of `query_key_value`, a name under which models use three layouts.
  func queryKeyValue() -> [FusedParts.Part]? {
    guard let heads, let size = headSize else { return nil }
    switch config.modelType {
    case "falcon", "RefinedWeb", "RefinedWebModel":
      if config.hasGroupedHeads == true {
        return grouped(heads: heads, groups: config.keyValueHeads ?? heads, size: size)
      }
      if config.isMultiQuery ?? true { return consecutive(query: heads, other: 1, size: size) }
      return grouped(heads: heads, groups: heads, size: size)
    case "gpt_neox", "bloom":
      return grouped(heads: heads, groups: heads, size: size)
    default:
      return nil
    }
  }

  /// The parts of GPT-2's `c_attn`: thirds of the columns, since its Conv1D stores inputs × outputs.
  func thirdsOfColumns() -> [FusedParts.Part]? {
    guard columns % 3 == 0 else { return nil }
    let third = columns / 3
    return zip(["q", "k", "v"], 0...).map { label, index in
      FusedParts.Part(label: label, rows: .init(all: rows), columns: run(index * third, third))
    }
  }

  /// The parts of `gate_up_proj`: the gate's rows, then as many of the up projection.
  func halvesOfRows() -> [FusedParts.Part]? {
    guard rows % 2 == 0 else { return nil }
    return [
      FusedParts.Part(label: "gate", rows: run(0, rows / 2), columns: .init(all: columns)),
      FusedParts.Part(label: "up", rows: run(rows / 2, rows / 2), columns: .init(all: columns)),
    ]
  }

  /// The parts of `gate_up_proj` in a stack of experts, which some models store as inputs × outputs and others as outputs × inputs.
  func expertGateUp() -> [FusedParts.Part]? {
    guard let hidden = config.hiddenSize, rows > 0, columns > 0 else { return nil }
    let hasColumnOutputs: Bool
    switch config.modelType {
    case "gpt_oss":
      guard rows == hidden, columns % 2 == 0 else { return nil }
      // Columns of the gate and of the up projection alternate.
      return zip(["gate", "up"], 0...).compactMap { label, first in
        IndexRuns(first: first, length: 1, stride: 2, count: columns / 2).map {
          FusedParts.Part(label: label, rows: .init(all: rows), columns: $0)
        }
      }
    case "llama4", "llama4_text": hasColumnOutputs = true
    default:
      guard rows != columns, rows == hidden || columns == hidden else { return nil }
      hasColumnOutputs = rows == hidden
    }
    guard hasColumnOutputs else { return columns == hidden ? halvesOfRows() : nil }
    guard rows == hidden, columns % 2 == 0 else { return nil }
    return [
      FusedParts.Part(label: "gate", rows: .init(all: rows), columns: run(0, columns / 2)),
      FusedParts.Part(label: "up", rows: .init(all: rows), columns: run(columns / 2, columns / 2)),
    ]
  }

  private var heads: Int? { config.heads.flatMap { $0 > 0 ? $0 : nil } }

  private var headSize: Int? {
    if let size = config.headSize { return size > 0 ? size : nil }
    guard let hidden = config.hiddenSize, let heads, hidden > 0, hidden % heads == 0 else { return nil }
    return hidden / heads
  }

  /// Parts one after the other: `query` query heads, `other` key heads and `other` value heads, each of `size` rows.
  private func consecutive(query: Int, other: Int, size: Int) -> [FusedParts.Part]? {
    guard let queries = product(query, size), let others = product(other, size), queries > 0, others > 0,
      queries <= rows, rows - queries == 2 * others
    else { return nil }
    return [("q", run(0, queries)), ("k", run(queries, others)), ("v", run(queries + others, others))].map {
      FusedParts.Part(label: $0, rows: $1, columns: .init(all: columns))
    }
  }

  /// Parts in groups of rows, one group for each key head: the query heads that use it, the key head, and its value head.
  private func grouped(heads: Int, groups: Int, size: Int) -> [FusedParts.Part]? {
    guard groups > 0, heads % groups == 0, let queries = product(heads / groups, size),
      rows % groups == 0, rows / groups - queries == 2 * size
    else { return nil }
    let stride = rows / groups
    let runs = [
      ("q", IndexRuns(first: 0, length: queries, stride: stride, count: groups)),
      ("k", IndexRuns(first: queries, length: size, stride: stride, count: groups)),
      ("v", IndexRuns(first: queries + size, length: size, stride: stride, count: groups)),
    ]
    let parts = runs.compactMap { label, rows in
      rows.map { FusedParts.Part(label: label, rows: $0, columns: .init(all: columns)) }
    }
    return parts.count == 3 ? parts : nil
  }

  /// The product of two counts; nil if it is negative or more than the rows of the tensor.
  private func product(_ left: Int, _ right: Int) -> Int? {
    let (value, overflow) = left.multipliedReportingOverflow(by: right)
    return overflow || value < 0 || value > rows ? nil : value
  }

  private func run(_ first: Int, _ length: Int) -> IndexRuns { IndexRuns(first..<first + length) }
}
