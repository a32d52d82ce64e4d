"""Small transformers models of the kinds that masks have to be matched with."""

import torch
import transformers

TEXT = dict(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, pad_token_id=0,
)  # fmt: skip
EXPERTS = dict(num_experts_per_tok=2, moe_intermediate_size=24)
VISION = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=16, patch_size=4)

MODELS = {
    "llama": ("LlamaForCausalLM", TEXT | dict(tie_word_embeddings=False)),
    "tied": ("LlamaForCausalLM", TEXT | dict(tie_word_embeddings=True)),
    "bert": ("BertForMaskedLM", TEXT),
    "bare bert": ("BertModel", TEXT),
    "gpt2": ("GPT2LMHeadModel", dict(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=32)),
    "neox": ("GPTNeoXForCausalLM", TEXT),
    "mixtral": ("MixtralForCausalLM", TEXT | dict(num_local_experts=3)),
    "qwen-moe": ("Qwen2MoeForCausalLM", TEXT | EXPERTS | dict(num_experts=3, shared_expert_intermediate_size=40)),
    "glm-moe": (
        "Glm4MoeForCausalLM",
        TEXT | EXPERTS | dict(n_routed_experts=4, n_shared_experts=1, first_k_dense_replace=1, n_group=1, topk_group=1, head_dim=8),
    ),
    "vit": ("ViTForImageClassification", VISION),
    "resnet": ("ResNetForImageClassification", dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")),
}  # fmt: skip


def save(name, folder, dtype=torch.float32, **options):
    """Saves a seeded model, all of whose parameters are random; `options` go to save_pretrained."""
    kind = getattr(transformers, MODELS[name][0])
    torch.manual_seed(0)
    model = kind(kind.config_class(**MODELS[name][1]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    model.tie_weights()
    model.to(dtype).save_pretrained(folder, **options)
    return folder


def load(name, folder, dtype=torch.float32, kind=None):
    """Loads a saved model, in another class if `kind` names one."""
    return getattr(transformers, kind or MODELS[name][0]).from_pretrained(folder, dtype=dtype).eval()


def logits(name, model):
    """What the model makes of a fixed input."""
    torch.manual_seed(1)
    is_vision = name in ("vit", "resnet")
    given = {"pixel_values": torch.randn(2, 3, 16, 16)} if is_vision else {"input_ids": torch.randint(1, 64, (2, 9))}
    with torch.no_grad():
        return model(**given).logits
