extension Card {
  /// PiSSA and MiLoRA: a LoRA adapter of the triplets, and the base without them.
  var residualLoRA: String {
    let isLeading = facts.method == .pissa
    let (name, part) = isLeading ? ("PiSSA", "leading") : ("MiLoRA", "trailing")
    return """
      # \(name): the \(part) singular triplets as a LoRA adapter

      Every adapted weight matrix W is split into its \(part) r singular triplets, U_r·Σ_r·V_rᵀ, and what remains:

          W = W_res + s·B·A,   A = √(Σ_r/s)·V_rᵀ,   B = U_r·√(Σ_r/s),   s = α/r

      This folder is a checkpoint of the remaining weights W_res, with everything else of the original model.
      `adapter/` is the adapter, for PEFT.
      Both together are the original model: each weight is within half a unit in the last place of W_res.

      \(whichBase(missing: "the \(part) triplets"))

      \(training(freezing: nil))

      \(usage)
      \(serving(base: "path/of/this/folder", adapter: "trained", rank: facts.rank))

      ## Use it on the original model

      PEFT turns what was trained into a LoRA adapter of rank 2r for the original model, and doubles α with the rank, so that the scale stays.
      It needs the adapter from before training, which is `adapter/`.

      ```python
      import shutil

      shutil.copytree(f"{folder}/adapter", "initial", dirs_exist_ok=True)    # PEFT writes to the folder that it is given
      model = PeftModel.from_pretrained(\(facts.modelClass).from_pretrained(folder), "trained")
      model.save_pretrained("converted", path_initial_model_for_weight_conversion="initial")
      model = PeftModel.from_pretrained(\(facts.modelClass).from_pretrained("my-model"), "converted")
      ```
      \(serving(base: "my-model", adapter: "converted", rank: 2 * facts.rank))

      ## Good to know

      \(pathsLine)
      - Nothing is decomposed when PEFT loads this, because `init_lora_weights` is `true`.
        Do not set it to "pissa", which would take another part out of the base.
      \(sixteenBits)
      - Base and adapter are loaded like any others: no weight is changed in memory, or gathered from the processes of ZeRO-3 or FSDP.
      - This base can be quantized as other checkpoints are, and the adapter stays as it is.
        What the conversion makes of it does not fit the original model exactly then.
      - No seed is involved: the same options make the same folder again, bit for bit.\(patternLine)

      """
  }

  /// Spectral Adapter, additive: the container of AdaLoRA with the leading triplets, and the base without them.
  var spectralAdditive: String {
    """
    # Spectral Adapter, additive: the leading singular vectors are trained

    Every adapted weight matrix W is split into its leading r singular triplets and what remains, and changes of the vectors are trained:

        W' = W_res + s·(U_r + ΔU)·Σ_r·(V_r + ΔV)ᵀ,   W_res = W − s·U_r·Σ_r·V_rᵀ,   s = r/(r + 10⁻⁵)

    PEFT's AdaLoRA has this form, B·diag(E)·A with that scale, where B = U_r, E = Σ_r and A = V_rᵀ.
    This folder is a checkpoint of the remaining weights W_res, with everything else of the original model.
    `adapter/` is the adapter, for PEFT.
    Both together are the original model: each weight is within half a unit in the last place of W_res.

    \(whichBase(missing: "the leading triplets"))

    \(training(freezing: [".lora_A.", ".lora_B."]))

    Σ stays, as published.
    PEFT would train E too, and on a base of 16 bits `ranknum`, which it divides by, so the line with `requires_grad_` is needed.

    \(usage)
    \(mergedServing)

    ## Good to know

    \(pathsLine)
    - Do not call `update_and_allocate`, which AdaLoRA takes ranks away with.
      `tinit` is so large that it would not.
    - `orth_reg_weight` is 0, so the loss has no term of AdaLoRA's.
    \(sixteenBits)
    - No seed is involved: the same options make the same folder again, bit for bit.\(patternLine)

    """
  }

  /// Which base belongs to which adapter.
  private func whichBase(missing part: String) -> String {
    let converted =
      facts.method == .spectralAdditive
      ? "" : "\n| run on the original model | the original model | what the conversion below writes |"
    return """
      ## Which base, which adapter

      | to | base | adapter |
      |---|---|---|
      | train | this folder | `adapter/` in it |
      | train on, or run what was trained | this folder | the folder that training has saved |\(converted)
      | run what was merged | the merged folder | none |

      This base alone is not the model: it lacks \(part).
      The adapter is not for the original model, which has them already.
      """
  }

  /// Loads, trains and saves.
  private func training(freezing parts: [String]?) -> String {
    let frozen =
      parts.map { parts in
        """

        for name, parameter in model.named_parameters():
            parameter.requires_grad_(\(parts.map { "\"\($0)\" in name" }.joined(separator: " or ")))
        """
      } ?? ""
    return """
      ## Train

      ```python
      \(imports)

      folder = "path/of/this/folder"
      model = \(facts.modelClass).from_pretrained(folder)
      model = PeftModel.from_pretrained(model, f"{folder}/adapter", is_trainable=True)\(frozen)
      \(loop)
      model.save_pretrained("trained")
      ```
      """
  }

  /// Loads what was trained, and merges it.
  private var usage: String {
    """
    ## Use and merge

    ```python
    model = PeftModel.from_pretrained(\(facts.modelClass).from_pretrained(folder), "trained")
    model = model.merge_and_unload()
    model.save_pretrained("merged")
    ```

    \(mergedLine)
    """
  }

  /// How an adapter is served that vLLM does not know.
  var mergedServing: String {
    facts.isCausalModel
      ? """

      vLLM does not serve this kind of adapter, but it serves `merged`:

          vllm serve merged
      """ : ""
  }

  /// What keeps the adapter from being rounded.
  private var sixteenBits: String {
    """
    - Leave `low_cpu_mem_usage` and `autocast_adapter_dtype` of `from_pretrained` as they are.
      With a base of 16 bits, other values round the adapter to 16 bits, and the start is not the original model.
    """
  }
}
