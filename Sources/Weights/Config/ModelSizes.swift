import ShardIO

/// The numbers in `config.json` that tell tensors apart, from whatever keys and levels of nesting they stand under.
///
/// Models spell the same number in many ways: the number of experts is `num_experts`, `num_local_experts`, `n_routed_experts`,
/// `moe_num_experts` and more. So a key is read by its words rather than looked up in a list. The words of `n_routed_experts` are `n`,
/// `routed` and `experts`.
///
/// Nothing here is trusted alone: a number only counts where a tensor has a dimension of that size.
package struct ModelSizes: Sendable, Equatable {
  /// The sizes of vocabularies.
  var vocabularies: Set<Int> = []
  /// The largest numbers of positions.
  var positions: Set<Int> = []
  /// The numbers of experts, of which a token meets a few.
  var experts: Set<Int> = []
  /// The numbers of attention heads.
  var heads: Set<Int> = []
  /// The numbers of labels that a classifier tells apart.
  var labels: Set<Int> = []
  /// The width of the model: what most matrices read or write.
  var modelWidths: Set<Int> = []
  /// All sizes of layers, which are no sign of a table.
  var layerSizes: Set<Int> = []
  /// Whether the file tells of images, at its outer level: their size or their channels.
  var hasImages = false

  /// Makes sizes of a model about which nothing is known.
  init() {}

  /// Takes in a number under a key.
  ///
  /// - Parameter isOuter: whether the key stands at the outer level of the file.
  mutating func insert(_ number: Int, key: String, isOuter: Bool) {
    let words = TensorName.words(of: key)
    guard number > 0, let last = words.last else { return }
    let all = Set(words)
    if isOuter, !all.isDisjoint(with: ["image", "channels"]), !all.contains("token") { hasImages = true }
    // Numbers of tokens and ids of tokens have nothing to do with sizes.
    if last == "id" || last == "ids" || last == "index" { return }
    if all.contains("vocab") || all.contains("vocabulary") { return add(number, to: \.vocabularies) }
    if !all.isDisjoint(with: ["expert", "experts"]) {
      let isCount = !all.isDisjoint(with: ["num", "n", "number", "count"]) || words == ["experts"]
      if isCount, all.isDisjoint(with: Self.partsOfExperts) { add(number, to: \.experts) }
      return
    }
    if all.contains("positions") || all.contains("ctx") || (all.contains("position") && all.contains("max"))
      || (all.contains("max") && !all.isDisjoint(with: ["length", "len", "seq"]))
      || (all.contains("context") && last == "length")
    {
      return add(number, to: \.positions)
    }
    if last == "heads" || last == "head" { return add(number, to: \.heads) }
    if (last == "labels" || last == "classes") && !all.isDisjoint(with: ["num", "n"]) {
      return add(number, to: \.labels)
    }
    if Self.widths.contains(words) { add(number, to: \.modelWidths) }
    if !all.isDisjoint(with: Self.sizeWords) { add(number, to: \.layerSizes) }
  }

  /// Takes in the number of members of an object under a key, such as the labels of `id2label`.
  mutating func insert(members count: Int, key: String) {
    if key == "id2label" || key == "label2id" { add(count, to: \.labels) }
  }

  private mutating func add(_ number: Int, to set: WritableKeyPath<ModelSizes, Set<Int>>) {
    // Every tensor is compared with all of them, so a hostile file must not have millions.
    if self[keyPath: set].count < 256 { self[keyPath: set].insert(number) }
  }

  /// Words of counts that are about some of the experts, or about something else that experts have.
  private static let partsOfExperts: Set<String> = [
    "per", "tok", "token", "tokens", "shared", "top", "topk", "group", "groups", "size", "dim", "hidden", "layer",
    "layers", "active", "selected", "capacity", "zero",
  ]
  private static let widths: Set<[String]> = [
    ["hidden", "size"], ["d", "model"], ["n", "embd"], ["embed", "dim"], ["dim"], ["hidden", "dim"], ["model", "dim"],
    ["d", "embed"],
  ]
  private static let sizeWords: Set<String> = [
    "size", "dim", "dims", "hidden", "inner", "embd", "d", "ff", "ffn", "channels", "width", "model", "rank", "depths",
  ]
}

extension ModelSizes: Decodable {
  /// Walks over a whole file. Values of other kinds than numbers, lists and objects are passed over.
  package init(from decoder: any Decoder) throws {
    self.init()
    let tree = try Tree(from: decoder)
    guard case .object(let members) = tree else { return }
    for (key, value) in members { insert(value, key: key, isOuter: true) }
  }

  private mutating func insert(_ tree: Tree, key: String, isOuter: Bool) {
    switch tree {
    case .number(let number): insert(number, key: key, isOuter: isOuter)
    case .list(let elements): elements.forEach { insert($0, key: key, isOuter: isOuter) }
    case .object(let members):
      insert(members: members.count, key: key)
      for (key, value) in members { insert(value, key: key, isOuter: false) }
    case .other: break
    }
  }

  /// The numbers of a JSON text, in their lists and objects.
  private enum Tree: Decodable {
    case number(Int)
    case list([Tree])
    case object([(String, Tree)])
    case other

    private struct Key: CodingKey {
      let stringValue: String
      var intValue: Int? { nil }
      init?(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
      if let object = try? decoder.container(keyedBy: Key.self) {
        self = .object(try object.allKeys.map { ($0.stringValue, try object.decode(Tree.self, forKey: $0)) })
      } else if var list = try? decoder.unkeyedContainer() {
        var elements: [Tree] = []
        while !list.isAtEnd { elements.append(try list.decode(Tree.self)) }
        self = .list(elements)
      } else if let value = try? decoder.singleValueContainer(), let number = try? value.decode(Int.self) {
        self = .number(number)
      } else {
        self = .other
      }
    }
  }
}
