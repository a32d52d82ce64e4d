extension Card {
  /// PiSSA, MiLoRA and Spectral Adapter on the original model: the triplets, and the same once more to take them away.
  var keptBase: String {
    let isAdaLoRA = facts.method == .spectralAdditive
    let (name, part) =
      switch facts.method {
      case .milora: ("MiLoRA", "trailing")
      case .pissa: ("PiSSA", "leading")
      default: ("Spectral Adapter, additive", "leading")
      }
    let formula =
      isAdaLoRA
      ? "W' = W + s·(B·diag(Σ_r)·A − U_r·Σ_r·V_rᵀ),   B = U_r and A = V_rᵀ at the start,   s = 2r/(2r + 10⁻⁵)"
      : "W' = W + s·(B·A − B₀·A₀),   A₀ = √(Σ_r/s)·V_rᵀ,   B₀ = U_r·√(Σ_r/s),   s = α/r"
    return """
      # \(name) on the original model

      Every adapted weight matrix W gets an adapter of its \(part) r singular triplets, and takes the same triplets away:

          \(formula)

      So the adapter has rank 2r\(isAdaLoRA ? "" : ", and 2α, so that the scale is that of r and α").
      It starts with the original model, but for rounding in F32.

      \(originalBase)

      ## Train

      The second half of the adapter must stay, or training is another one than \(name)'s.
      \(isAdaLoRA ? "Σ stays too, as published.\n" : "")The hooks take its gradients away.
      Weight decay would shrink it, so it is 0.

      ```python
      \(imports)

      \(loading)
      for name, parameter in model.named_parameters():
          parameter.requires_grad_(".lora_A." in name or ".lora_B." in name)
          if ".lora_A." in name:
              parameter.register_hook(lambda g: torch.cat([g[: len(g) // 2], torch.zeros_like(g[len(g) // 2 :])]))
          elif ".lora_B." in name:
              parameter.register_hook(lambda g: torch.cat([g[:, : g.shape[1] // 2], torch.zeros_like(g[:, g.shape[1] // 2 :])], 1))
      \(loop.replacing("lr=1e-4)", with: "lr=1e-4, weight_decay=0)"))
      model.save_pretrained("trained")
      ```

      \(originalUsage)
      \(isAdaLoRA ? mergedServing : serving(base: "my-model", adapter: "trained", rank: facts.adapterRank))

      ## Good to know

      \(pathsLine)
      - Nothing is decomposed when PEFT loads this, and the model is not changed.
      - With a base of 16 bits, leave `low_cpu_mem_usage` and `autocast_adapter_dtype` of `from_pretrained` as they are: other values round the adapter.
      - Without `--keep-base`, the export has half the rank and a base of its own, and trains without hooks.\(patternLine)

      """
  }

  /// Puts the adapter on the original model.
  var loading: String {
    """
    folder = "path/of/this/folder"
    model = \(facts.modelClass).from_pretrained("my-model")
    model = PeftModel.from_pretrained(model, folder, is_trainable=True)
    """
  }

  /// Loads what was trained on the original model, and merges it.
  var originalUsage: String {
    """
    ## Use and merge

    ```python
    model = PeftModel.from_pretrained(\(facts.modelClass).from_pretrained("my-model"), "trained")
    model = model.merge_and_unload()
    model.save_pretrained("merged")
    ```

    \(mergedLine)
    """
  }

  /// Which base belongs to which adapter, where the original model is the base of all.
  var originalBase: String {
    """
    ## Which base, which adapter

    | to | base | adapter |
    |---|---|---|
    | train | the original model | this folder |
    | train on, or run what was trained | the original model | the folder that training has saved |
    | run what was merged | the merged folder | none |
    """
  }
}
