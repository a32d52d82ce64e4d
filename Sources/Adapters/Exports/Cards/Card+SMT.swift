extension Card {
  /// SMT: some blocks of the weights are trained, by frogmask.
  var smt: String {
    let options = facts.choice.blocks ?? BlockOptions()
    return """
      # SMT: some blocks of the weights are trained

      \(facts.blocks ?? 0) blocks of \(options.side) × \(options.side) weights in \(facts.modules) modules are trained, and nothing else.
      \(chosen(options))
      It starts with the original model, bit for bit.
      \(trainerLines)

      ## Which base, which adapter

      | to | base | folder |
      |---|---|---|
      | train | the original model | this one |
      | run what was trained | the original model | the patch that training has saved |
      | run what was merged | the merged folder | none |

      ## Train

      ```python
      import torch
      from frogmask.methods import smt
      from transformers import \(facts.modelClass)

      folder = "path/of/this/folder"
      model = \(facts.modelClass).from_pretrained("my-model")
      tuning = smt.attach(model, folder)
      optimizer = torch.optim.AdamW(tuning.parameters(), lr=1e-4)
      tuning.attach(optimizer)
      \(steps)
      tuning.save("trained")
      ```

      ## Use and merge

      ```python
      import frogmask

      model = \(facts.modelClass).from_pretrained("my-model")
      frogmask.apply(model, "trained")
      model.save_pretrained("merged")
      ```

      \(mergedLine)
      The trained weights are in the model after every step, so there is nothing to merge.
      What was saved holds them alone, and does not need this folder.
      \(facts.isCausalModel ? "\nServe the merged model:\n\n    vllm serve merged" : "")

      ## Good to know

      - `attach` compares names and shapes with the model, and refuses another one.
        With `checkpoint="my-model"` it compares the fingerprint too.
      - Blocks at the lower and right edges of a matrix may be smaller.
      - Load the base in 16 or 32 bits: quantized weights cannot be trained in blocks.

      """
  }

  /// How blocks were chosen, in words.
  private func chosen(_ options: BlockOptions) -> String {
    let ranking = options.ranking == .global ? "all matrices together" : "each matrix by itself"
    guard !options.isProxy else {
      return
        "They have the largest mean FROG scores, ranked over \(ranking): a proxy for the gradients that SMT chooses blocks by."
    }
    let rule = options.rule == .meanOfMagnitudes ? "means of |gradient|" : "magnitudes of the mean gradient"
    return "They have the largest \(rule), ranked over \(ranking)."
  }
}
