"""`mask --names transformers5`: where the tensors of a checkpoint lie in the parameters of a loaded model."""

import json
from pathlib import Path

import numpy as np
import pytest

import layouts
import reference
from harness import LONG


def placed(names, tensor, shape):
    """(parameter, its shape, flat positions in it of every element of the tensor): the documented affine rule."""
    if tensor not in names["tensors"]:
        return tensor, tuple(shape), np.arange(int(np.prod(shape)))
    place = names["tensors"][tensor]
    if place["parameter"] is None:
        return None, (), None
    position = [np.full(tuple(shape), start) for start in place["start"]]
    for index, axis in zip(np.indices(tuple(shape)), place["axes"]):
        position[axis] = position[axis] + index
    return place["parameter"], tuple(place["shape"]), np.ravel_multi_index(position, place["shape"]).reshape(-1)


def names_of(frog, folder, out, *options):
    frog.mask(folder, out, "--budget", "1%", "--names", "transformers5", *options)
    return json.loads((Path(out) / "names.json").read_text())


def expected(layout, tensor):
    """Parameter and first element of some tensors of the small layouts, worked out by hand."""
    first, second = (f"model.layers.{layer}.mlp.experts" for layer in (0, 1))
    return {
        ("Mixtral", "model.layers.0.block_sparse_moe.experts.7.w1.weight"): (f"{first}.gate_up_proj", (8, 512, 96), (7, 0, 0)),
        ("Mixtral", "model.layers.0.block_sparse_moe.experts.7.w3.weight"): (f"{first}.gate_up_proj", (8, 512, 96), (7, 256, 0)),
        ("Mixtral", "model.layers.0.block_sparse_moe.experts.7.w2.weight"): (f"{first}.down_proj", (8, 96, 256), (7, 0, 0)),
        ("Mixtral", "model.layers.0.block_sparse_moe.gate.weight"): ("model.layers.0.mlp.gate.weight", (8, 96), (0, 0)),
        ("DeepSeek", "model.layers.1.mlp.experts.2.up_proj.weight"): (f"{second}.gate_up_proj", (4, 272, 192), (2, 136, 0)),
        ("DeepSeek", "model.layers.1.mlp.experts.2.down_proj.weight"): (f"{second}.down_proj", (4, 192, 136), (2, 0, 0)),
        ("gpt-neox", "embed_out.weight"): ("lm_head.weight", (500, 96), (0, 0)),
        ("vit", "encoder.layer.1.attention.output.dense.weight"): ("layers.1.attention.o_proj.weight", (96, 96), (0, 0)),
        ("vit", "encoder.layer.1.output.dense.weight"): ("layers.1.mlp.fc2.weight", (96, 384), (0, 0)),
    }.get((layout, tensor))  # fmt: skip


LAYOUTS = {
    "Mixtral": "Mixtral-8x22B-Instruct-v0.1", "DeepSeek": "DeepSeek-V3", "gpt-neox": "gpt-neox-20b", "vit": "vit-base-patch16-224",
    "llama": "Llama-3.1-8B",
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_weight_has_one_place(frog, tmp_path, name):
    tensors = layouts.write_layout(tmp_path / "in", LAYOUTS[name])
    names = names_of(frog, tmp_path / "in", tmp_path / "out")
    assert (names["format"], names["format_version"], names["transformers"], names["covered"]) == ("frog-names", 1, "5", True)
    assert names["model_type"] == layouts.LAYOUTS[LAYOUTS[name]].config["model_type"]
    filled, found = {}, 0
    for tensor, (_, shape, _) in tensors.items():
        if "_scale" in tensor:
            assert tensor not in names["tensors"]
            continue
        parameter, whole, positions = placed(names, tensor, shape)
        # The layer that predicts one more token is not loaded.
        assert (parameter is None) == (name == "DeepSeek" and tensor.startswith("model.layers.2.")), tensor
        if parameter is None:
            continue
        by_hand = expected(name, tensor)
        if by_hand:
            found += 1
            assert (parameter, whole, np.unravel_index(positions[0], whole)) == by_hand
        taken = filled.setdefault(parameter, np.zeros(int(np.prod(whole)), int))
        np.add.at(taken, positions, 1)
    assert found == {"Mixtral": 4, "DeepSeek": 2, "gpt-neox": 1, "vit": 2, "llama": 0}[name]
    assert all(np.all(taken == 1) for taken in filled.values())
    if name == "llama":
        assert names["tensors"] == {}


def test_names_are_said_to_be_unknown(frog, tmp_path):
    tensors = layouts.stored_tensors([("h.0.weight", "F32", (30, 20))])
    for config in (None, {}, {"model_type": "no_such_model"}):
        folder = layouts.write_tensors(tmp_path / str(config)[:6], tensors, config, shards=1)
        names = names_of(frog, folder, tmp_path / "out", "--overwrite")
        assert names["covered"] is False and names["tensors"] == {}
        assert names["model_type"] == (config or {}).get("model_type")


def test_no_names_unless_asked_for(frog, tmp_path):
    layouts.write_layout(tmp_path / "in", "gpt-neox-20b")
    frog.mask(tmp_path / "in", tmp_path / "out", "--budget", "1%")
    assert not (tmp_path / "out/names.json").exists()


TEXT = dict(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, pad_token_id=0,
)  # fmt: skip
VISION = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=16, patch_size=4)
LATENT = dict(
    num_key_value_heads=4, n_routed_experts=4, n_shared_experts=1, moe_intermediate_size=24, first_k_dense_replace=1, q_lora_rank=16,
    kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=8, n_group=2, topk_group=1, num_experts_per_tok=2,
)  # fmt: skip
MODELS = {
    "MixtralForCausalLM": TEXT | dict(num_local_experts=3),
    "DeepseekV3ForCausalLM": TEXT | LATENT,
    "Qwen2MoeForCausalLM": TEXT | dict(num_experts=3, moe_intermediate_size=24, shared_expert_intermediate_size=40),
    "Qwen3MoeForCausalLM": TEXT | dict(num_experts=3, moe_intermediate_size=24, head_dim=8),
    "GPTNeoXForCausalLM": TEXT,
    "ViTForImageClassification": VISION,
    "LlavaForConditionalGeneration": dict(
        text_config=TEXT | dict(model_type="llama"), vision_config=VISION | dict(model_type="clip_vision_model")
    ),
}
if LONG:
    MODELS |= {
        "MiniMaxM2ForCausalLM": TEXT | dict(num_local_experts=3, head_dim=8),
        "PhimoeForCausalLM": TEXT | dict(num_local_experts=3),
        "Glm4MoeForCausalLM": TEXT | LATENT | dict(head_dim=8),
        "OlmoeForCausalLM": TEXT | dict(num_experts=3),
        "Lfm2MoeForCausalLM": TEXT
        | dict(num_experts=3, moe_intermediate_size=24, num_dense_layers=1, layer_types=["conv", "full_attention"]),
        "Dinov2ForImageClassification": VISION,
        "SwinModel": dict(embed_dim=16, depths=[1, 1], num_heads=[2, 2], image_size=16, patch_size=2, window_size=2),
        "Gemma3ForConditionalGeneration": dict(
            text_config=TEXT | dict(model_type="gemma3_text", head_dim=8), vision_config=VISION | dict(model_type="siglip_vision_model")
        ),
        "Phi3ForCausalLM": TEXT,
        "GPT2LMHeadModel": dict(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=32),
        "BertForMaskedLM": TEXT,
        "CLIPModel": dict(text_config=TEXT | dict(projection_dim=16), vision_config=VISION, projection_dim=16),
    }


@pytest.mark.parametrize("model", MODELS)
def test_loaded_parameters_hold_the_weights_where_the_names_say(frog, tmp_path, model):
    """transformers writes the old names when it saves, and renames when it loads."""
    torch = pytest.importorskip("torch", reason="torch is not installed (scripts/setup --peers)")
    transformers = pytest.importorskip("transformers", minversion="5", reason="transformers is not installed (scripts/setup --peers)")
    kind = getattr(transformers, model)
    torch.manual_seed(0)
    made = kind(kind.config_class(**MODELS[model]))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()
    made.tie_weights()
    made.save_pretrained(tmp_path / "in")
    names = names_of(frog, tmp_path / "in", tmp_path / "out")
    loaded = {name: value.float().numpy() for name, value in kind.from_pretrained(tmp_path / "in").state_dict().items()}
    assert names["covered"] is True
    stored = reference.checkpoint_tensors(tmp_path / "in")
    for tensor in stored:
        parameter, shape, positions = placed(names, tensor.name, tensor.shape)
        assert loaded[parameter].shape == shape, tensor.name
        assert np.array_equal(loaded[parameter].reshape(-1)[positions], tensor.read().reshape(-1)), tensor.name
