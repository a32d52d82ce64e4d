import FactorCache

extension Card {
  /// What is said of a method that frogmask trains.
  struct FrogmaskMethod {
    /// The module of frogmask.methods.
    let module: String
    let title: String
    let formula: String
    /// What is trained, and how training starts.
    let start: String
  }

  /// Who trains a method that PEFT does not load.
  var trainerLines: String {
    """
    PEFT does not load this method; frogmask (`pip install frogmask`) trains it.
    The model stays an ordinary transformers model, which any loop and transformers' Trainer train.
    """
  }

  /// The card of a method that PEFT does not load.
  func forFrogmask(_ method: FrogmaskMethod) -> String {
    let module = method.module
    return """
      # \(method.title)

          \(method.formula)

      \(method.start)
      \(trainerLines)

      ## Which base, which adapter

      | to | base | folders |
      |---|---|---|
      | train | the original model | this one |
      | train on, or run what was trained | the original model | this one, and the one that training has saved |
      | run what was merged | the merged folder | none |

      ## Train

      ```python
      import torch
      from frogmask.methods import \(module)
      from transformers import \(facts.modelClass)

      folder = "path/of/this/folder"
      model = \(facts.modelClass).from_pretrained("my-model")
      adapter = \(module).attach(model, folder)
      \(loop)
      adapter.save("trained")
      ```

      ## Use and merge

      ```python
      model = \(facts.modelClass).from_pretrained("my-model")
      adapter = \(module).load(model, "trained", folder)
      adapter.merge()
      model.save_pretrained("merged")
      ```

      \(mergedLine)
      \(facts.isCausalModel ? "\nNo server knows this method, but all serve `merged`:\n\n    vllm serve merged" : "")

      ## Good to know

      - `attach` compares names, shapes and the leading singular vectors with the model, and refuses another one.
        With `checkpoint="my-model"` it compares the fingerprint too.
      - Factors are stored in \(facts.choice.dtype == .bf16 ? "BF16" : "F32").
        They take memory beside the model, so export them with `--dtype bf16` for a model in BF16.
      - Load the base in 16 or 32 bits: quantized weights are refused, and so are models that FSDP or ZeRO-3 has sharded.
      - What training has saved holds the trained numbers alone, so keep this folder.

      """
  }

  /// SVFT.
  var svft: FrogmaskMethod {
    FrogmaskMethod(
      module: "svft", title: "SVFT: a sparse matrix between the singular vectors", formula: "W' = U·(Σ + M)·Vᵀ",
      start: """
        The entries of the sparse M are trained for every adapted weight matrix W: \(entries).
        All singular vectors are here, since what a truncated decomposition leaves out would be missing from the model.
        It starts as published, with random entries.
        `attach(…, init="zeros")` starts with the original model, but for the rounding of U, Σ and V.
        """)
  }

  /// Spectral Adapter, the rotation.
  var rotation: FrogmaskMethod {
    FrogmaskMethod(
      module: "spectral", title: "Spectral Adapter, rotation: the leading singular vectors are turned",
      formula: "W' = W + U_r·[Q_A·diag(S∘c)·Q_Bᵀ − diag(S)]·V_rᵀ,   Q = (I − K)·(I + K)⁻¹,   K = (A − Aᵀ)/2",
      start: """
        A and B, from which Q_A and Q_B follow, and c are trained for every adapted weight matrix W.
        It starts with the original model, bit for bit: A = B = 0 and c = 1.
        """)
  }

  /// LoRA-XS.
  var loraXS: FrogmaskMethod {
    FrogmaskMethod(
      module: "lora_xs", title: "LoRA-XS: a small square matrix between factors that stay",
      formula: "W' = W + (α/r)·B·R·A,   A = Σ_r·V_rᵀ,   B = U_r",
      start: """
        R, r × r, is trained for every adapted weight matrix W.
        It starts near 0, as published.
        `attach(…, init="zeros")` starts with the original model, bit for bit.
        """)
  }

  /// Where M has its entries, in words.
  private var entries: String {
    let entries = facts.choice.entries
    return switch entries.pattern {
    case .plain: "the diagonal"
    case .banded: "the diagonal and \(entries.diagonals) others on each side of it"
    case .random:
      "as many random ones as a band with \(entries.diagonals) diagonals on each side has, by `--seed \(facts.choice.seed)`"
    case .topK:
      "as many as a band with \(entries.diagonals) diagonals on each side has, where singular vectors are most alike "
        + "(`--top-k-rule \((entries.topKRule ?? .paper).rawValue)`)"
    }
  }
}
