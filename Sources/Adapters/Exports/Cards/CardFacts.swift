import RunCore

/// What the card of a method says of its export.
struct CardFacts {
  let method: ExportMethod
  let choice: ExportChoice
  /// The version of the program.
  let version: String
  /// The checkpoint that the export was made from.
  let source: CheckpointSource
  /// The class that wrote the checkpoint, as config.json names it; nil if it names none.
  let architecture: String?
  /// Whether the model predicts the next token.
  let isCausalModel: Bool
  /// The number of modules that have an adapter.
  let modules: Int
  /// The number of triplets of each of them.
  let ranks: [Int]
  /// The number of blocks that SMT trains; nil with other methods.
  let blocks: Int?
  /// The number of modules that the method has no way to.
  let leftOut: Int
  /// The last names of adapted modules that are names of experts' matrices too.
  let namesOfExperts: [String]

  /// The largest number of triplets.
  var rank: Int { ranks.max() ?? 1 }
  /// Whether modules have different numbers of triplets.
  var ranksDiffer: Bool { Set(ranks).count > 1 }
  /// LoRA's α of the largest rank.
  var alpha: Double { choice.alpha ?? Double(rank) }
  /// The rank of the adapter that PEFT loads, which is twice as large if it keeps the base.
  var adapterRank: Int { keepsBase ? 2 * rank : rank }
  /// Whether the adapter is for the base as it is though the method would change it.
  var keepsBase: Bool { choice.keepsBase && method.changesBase }

  /// The class that wrote the checkpoint; nil if it is not known.
  ///
  /// Whatever config.json says goes into code that a user runs, so it must be a name and nothing else.
  var knownClass: String? { architecture.flatMap { Self.isName($0) ? $0 : nil } }

  /// The Python class that loads the model.
  var modelClass: String { isCausalModel ? "AutoModelForCausalLM" : knownClass ?? "AutoModel" }

  /// Whether a text is the name of something in Python.
  static func isName(_ text: String) -> Bool {
    func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    func isLetter(_ byte: UInt8) -> Bool {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "_")
    }
    guard let first = text.utf8.first, !isDigit(first) else { return false }
    return text.utf8.allSatisfy { isDigit($0) || isLetter($0) }
  }

  /// A number without a point if it is whole.
  static func text(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }

  /// The ranks of the modules, in words.
  var rankText: String {
    let least = ranks.min() ?? 1
    return least == rank ? "\(rank)" : "\(least) to \(rank)"
  }

  /// What the Hugging Face Hub reads at the beginning of a card.
  var frontMatter: String {
    """
    ---
    library_name: \(method.isForPEFT ? "peft" : "frogmask")
    tags:
    - frog-mpi
    - \(method.rawValue)
    ---


    """
  }

  /// Where the export comes from.
  var origin: String {
    let rows = [
      ("made by", "`frog-mpi export \(method.rawValue)\(keepsBase ? " --keep-base" : "")`, version \(version)"),
      ("modules", "\(modules)"),
      blocks.map { ("blocks", "\($0)") } ?? ("rank", rankText),
      ("α", method.hasAlpha ? Self.text(alpha) : ""),
      ("class of the model", knownClass.map { "`\($0)`" } ?? ""),
      ("fingerprint of the original model's weight matrices", "`\(source.fingerprint)`"),
    ].filter { !$0.1.isEmpty }
    return """
      ## Origin

      | | |
      |---|---|
      \(rows.map { "| \($0) | \($1) |" }.joined(separator: "\n"))

      The original model is the one that the export was made from.
      Every record that frog-mpi makes of a model has its fingerprint.

      """
  }
}

extension ExportMethod {
  /// Whether `--alpha` belongs to the method.
  var hasAlpha: Bool { self == .pissa || self == .milora || self == .mica || self == .loraXS }
}
