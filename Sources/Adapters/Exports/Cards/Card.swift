/// The README.md of a method's folder: what it is, which base and which adapter belong together, and how to load, train, merge and serve.
///
/// The Python of a card runs as it stands where `path/of/this/folder` is the folder and `my-model` the original model.
struct Card {
  let facts: CardFacts

  init(_ facts: CardFacts) { self.facts = facts }

  /// The text of the card.
  var text: String {
    let body =
      switch facts.method {
      case .pissa, .milora: facts.keepsBase ? keptBase : residualLoRA
      case .spectralAdditive: facts.keepsBase ? keptBase : spectralAdditive
      case .mica: mica
      case .svfit: svfit
      case .tinylora: tinyLoRA
      case .svft: forFrogmask(svft)
      case .spectralRotation: forFrogmask(rotation)
      case .loraXS: forFrogmask(loraXS)
      case .smt: smt
      }
    return facts.frontMatter + body + "\n" + facts.origin
  }

  /// The lines that import what the code of PEFT's cards needs.
  var imports: String {
    """
    import torch
    from peft import PeftModel
    from transformers import \(facts.modelClass)
    """
  }

  /// Some steps that train what can be trained.
  var loop: String {
    """
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    \(steps)
    """
  }

  /// Some steps of an optimizer.
  var steps: String {
    let loss =
      facts.isCausalModel
      ? "model(input_ids=ids, labels=ids).loss"
      : "model(input_ids=ids)[0].float().square().mean()    # and your loss"
    return """
      ids = torch.randint(1, 60, (2, 16))    # your data
      for step in range(3):
          loss = \(loss)
          loss.backward()
          optimizer.step()
          optimizer.zero_grad()
      """
  }

  /// What can be done with merged weights.
  var mergedLine: String {
    let library = facts.method.isForPEFT ? "PEFT" : "frogmask"
    return "`merged` is an ordinary checkpoint, which needs no \(library); copy the tokenizer's files beside it."
  }

  /// What holds of every adapter that PEFT finds by the paths of modules.
  var pathsLine: String {
    """
    - Load the class that wrote the checkpoint\(facts.knownClass.map { ", `\($0)`" } ?? "").
      PEFT finds modules by their paths.
      With a class that has other paths it only warns "Found missing adapter keys", and the adapter is not loaded.
    """
  }

  /// A line about a warning of PEFT's that is wrong; nothing if PEFT has no reason for it.
  var patternLine: String {
    let isAdaLoRA = facts.method == .svfit || facts.method == .spectralAdditive
    let isWarned = isAdaLoRA || !facts.namesOfExperts.isEmpty
    return facts.ranksDiffer && isWarned
      ? """

      - PEFT warns that keys of `rank_pattern` did not match.
        That is wrong here: it uses the ranks.
      """ : ""
  }

  /// How vLLM serves an adapter of a rank; nothing for models that it does not serve.
  func serving(base: String, adapter: String, rank: Int) -> String {
    guard facts.isCausalModel else { return "" }
    guard let served = RankRule.serveable(from: rank) else {
      return "\nvLLM serves no adapter of rank \(rank): merge it."
    }
    return """

      Serve it with vLLM:

          vllm serve \(base) --enable-lora --max-lora-rank \(served) --lora-modules tuned=\(adapter)
      """
  }
}
