extension Card {
  /// The card of SMT, whose blocks are a mask.
  var smt: String {
    let blocks = facts.choice.blocks ?? BlockOptions()
    return """
      # SMT: some blocks of the weights are trained

          W' = W + M∘Δ,   M has \(blocks.side) × \(blocks.side) blocks of ones

      \(chosen)
      \(facts.blockCount) blocks of \(facts.blockMatrices) weight matrices are trained, and nothing else.
      Blocks at the lower and right edges of a matrix may be smaller.
      PEFT does not load this method; frogmask (`pip install frogmask`) trains it.

      ## Which base, which adapter

      | to | base | folders |
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

      The weights are in the model after every step.

      ## Use and merge

      ```python
      import frogmask

      model = \(facts.modelClass).from_pretrained("my-model")
      frogmask.apply(model, "trained")
      ```

      Or write the checkpoint that it makes, with tokenizer and configuration, one tensor at a time:

          frogmask merge my-model trained --out merged
      \(facts.isCausalModel ? "\nAll servers know `merged`:\n\n    vllm serve merged" : "")

      ## Good to know

      - The state of the optimizer is that of the blocks alone.
      - Blocks of another model are refused by names and shapes; with `checkpoint="my-model"`, `attach` compares the fingerprint too.

      """
  }

  /// What chose the blocks.
  private var chosen: String {
    let blocks = facts.choice.blocks ?? BlockOptions()
    let place = blocks.ranking == .global ? "across the model" : "in each matrix, which gets its share"
    guard !blocks.isProxy else {
      return """
        **A proxy chose the blocks**: the largest means of FROG scores, \(place), where SMT takes gradients of the task.
        With gradients from `frogmask signals --kind gradient`, export again with `--gradients`.
        """
    }
    let rule = blocks.rule == .meanOfMagnitudes ? "the largest means of |G|" : "the largest magnitudes of the mean of G"
    return
      "The blocks are those with \(rule), \(place), of the gradients G with the fingerprint `\(blocks.gradients ?? "")`."
  }
}
