extension Card {
  /// MiCA: LoRA whose B is made of the trailing left vectors and stays.
  var mica: String {
    """
    # MiCA: the trailing left singular vectors as LoRA's B

    Every adapted weight matrix W gets a LoRA adapter whose B is frozen:

        W' = W + s·B·A,   B = the last r columns of U,   A = 0 at the start,   s = α/r

    It starts with the original model, bit for bit.

    \(originalBase)

    ## Train

    `low_cpu_mem_usage=True` keeps PEFT from decomposing every weight again, only to throw the result away for the vectors that are in the file.
    On a base of 16 bits it rounds B to 16 bits, which changes nothing at the start, since A is 0.

    ```python
    \(imports)

    folder = "path/of/this/folder"
    model = \(facts.modelClass).from_pretrained("my-model")
    model = PeftModel.from_pretrained(model, folder, is_trainable=True, low_cpu_mem_usage=True)
    \(loop)
    model.save_pretrained("trained")
    ```

    ## Use and merge

    "mica" in adapter_config.json is what freezes B, and what makes PEFT decompose.
    Without it, what was trained loads as the ordinary LoRA adapter that it is.

    ```python
    import json
    from pathlib import Path

    config = Path("trained/adapter_config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"init_lora_weights": True}))
    model = PeftModel.from_pretrained(\(facts.modelClass).from_pretrained("my-model"), "trained")
    model = model.merge_and_unload()
    model.save_pretrained("merged")
    ```

    \(mergedLine)
    Keep "mica" to train on.
    \(serving(base: "my-model", adapter: "trained", rank: facts.rank))

    ## Good to know

    \(pathsLine)
    - No seed is involved: the same options make the same folder again, bit for bit.\(leftOutLine)

    """
  }

  /// A line about modules that MiCA has no way to; nothing if there are none.
  private var leftOutLine: String {
    facts.leftOut == 0
      ? ""
      : """

      - \(facts.leftOut) modules have no adapter.
        They have the names of experts' matrices, which PEFT takes for the experts, and MiCA has no way around that.
      """
  }

  /// The lines of Python by which a LoRA names the weights of modules that PEFT would take for experts; nothing if there are none.
  private var namedWeights: String {
    let names = facts.namesOfExperts.filter(CardFacts.isName)
    guard !names.isEmpty else { return "" }
    return """

      # PEFT takes these modules for experts, unless their weights are named.
      named = {name for name in new["target_modules"] if name.split(".")[-1] in (\(names.map { "\"\($0)\"," }.joined(separator: " ")))}
      new |= {"target_modules": sorted({*new["target_modules"]} - named), "target_parameters": sorted(name + ".weight" for name in named)}
      """
  }

  /// SVFit: the container of AdaLoRA, of which the values alone are trained.
  var svfit: String {
    """
    # SVFit: the leading singular values are trained

    The leading r singular values of every adapted weight matrix W are trained, and their vectors stay:

        W' = W + s·U_r·diag(E)·V_rᵀ,   E = 0 at the start,   s = r/(r + 10⁻⁵) of the largest r

    E is the change of the singular values.
    PEFT's AdaLoRA has this form, with B = U_r and A = V_rᵀ.
    It starts with the original model, bit for bit.

    \(originalBase)

    ## Train

    PEFT would train B and A too, and on a base of 16 bits `ranknum`, which it divides by, so the line with `requires_grad_` is needed.

    ```python
    \(imports)

    \(loading)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_E." in name)
    \(loop)
    model.save_pretrained("trained")
    ```

    \(originalUsage)

    ## Make it a LoRA adapter

    vLLM and others do not know AdaLoRA, and PEFT does not convert it.
    As LoRA it has the same rank:

    ```python
    import json
    from pathlib import Path

    from safetensors.torch import load_file, save_file

    config = json.loads(Path("trained/adapter_config.json").read_text())
    tensors, scale = load_file("trained/adapter_model.safetensors"), config["lora_alpha"] / (config["init_r"] + 1e-5)
    lora = {}
    for key in tensors:
        if key.endswith(".lora_E"):
            module = key.removesuffix(".lora_E")
            A, B = scale * tensors[key] * tensors[module + ".lora_A"], tensors[module + ".lora_B"]
            rest = config["init_r"] - len(A)
            lora[module + ".lora_A.weight"] = torch.nn.functional.pad(A, (0, 0, 0, rest))
            lora[module + ".lora_B.weight"] = torch.nn.functional.pad(B, (0, rest))
    Path("lora").mkdir(exist_ok=True)
    save_file(lora, "lora/adapter_model.safetensors", {"format": "pt"})
    kept = ("fan_in_fan_out", "target_modules", "task_type", "bias", "base_model_name_or_path")
    new = {"peft_type": "LORA", "r": config["init_r"], "lora_alpha": config["init_r"]} | {key: config[key] for key in kept}\(namedWeights)
    Path("lora/adapter_config.json").write_text(json.dumps(new))
    ```
    \(serving(base: "my-model", adapter: "lora", rank: facts.rank))

    ## Good to know

    \(pathsLine)
    - Nothing is decomposed when PEFT loads this, and the model is not changed.
    - Do not call `update_and_allocate`, which AdaLoRA takes ranks away with.
      `tinit` is so large that it would not.
    - `orth_reg_weight` is 0, so the loss has no term of AdaLoRA's.
    - Leave `low_cpu_mem_usage` of `from_pretrained` as it is: it rounds the vectors with a base of 16 bits, and fails where ranks differ.\(patternLine)

    """
  }

  /// TinyLoRA: a few numbers between factors of the leading triplets.
  var tinyLoRA: String {
    """
    # TinyLoRA: a few numbers for every matrix

    The change of every adapted weight matrix W lies between its leading r singular triplets, and a vector v says which it is:

        W' = W + B·(Σᵢ vᵢ·Pᵢ)·A,   A = √Σ_r·V_rᵀ,   B = U_r·√Σ_r,   Pᵢ random and fixed, v = 0 at the start

    Only v is trained, \(TinyLoRA.trained) numbers for each matrix.
    It starts with the original model, bit for bit.

    \(originalBase)

    ## Train

    PEFT decomposes every weight again whenever it loads TinyLoRA, only to throw the result away for the factors that are in the file.
    That takes long for a large model.
    `without_decompositions` gives it zeros to throw away.

    ```python
    import contextlib

    \(imports)


    @contextlib.contextmanager
    def without_decompositions():
        def zeros(weight, full_matrices=True):
            m, n, p = *weight.shape, min(weight.shape)
            return weight.new_zeros(m, p), weight.new_zeros(p), weight.new_zeros(p, n)

        real, torch.linalg.svd = torch.linalg.svd, zeros
        try:
            yield
        finally:
            torch.linalg.svd = real


    folder = "path/of/this/folder"
    model = \(facts.modelClass).from_pretrained("my-model")
    with without_decompositions():
        model = PeftModel.from_pretrained(model, folder, is_trainable=True)
    \(loop)
    model.save_pretrained("trained")
    ```

    ## Use and merge

    ```python
    with without_decompositions():
        model = PeftModel.from_pretrained(\(facts.modelClass).from_pretrained("my-model"), "trained")
    model = model.merge_and_unload()
    model.save_pretrained("merged")
    ```

    \(mergedLine)
    \(mergedServing)

    ## Good to know

    \(pathsLine)
    - Without `without_decompositions` the model is the same, only later.
      Everything that PEFT decomposes is replaced by what the file holds; a file that lacked something would give a warning and zeros.
    - The projections P are in the file, so they depend on no random generator of torch's.
      They follow from `--seed \(facts.choice.seed)`, the name of the matrix and the position.
    - `weight_tying` stays 0: every matrix has a vector of its own.
    - It needs PEFT 0.21 or later.

    """
  }
}
