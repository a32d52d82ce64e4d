"""Trains methods that PEFT cannot load, from the folders that `frog-mpi export` writes (docs/guide/adapters.md).

| module | method |
|---|---|
| `svft` | SVFT: W' = U(Σ + M)Vᵀ with a sparse M |
| `spectral` | the rotation of Spectral Adapter: the leading singular vectors are turned |
| `lora_xs` | LoRA-XS: W' = W + B·R·A with a small R between frozen B and A |
| `smt` | SMT: some blocks of W, by a `SparseTuning` |

Each has `attach(model, directory)`.

    from frogmask.methods import svft

    adapter = svft.attach(model, "my-svft")
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-3)
"""
