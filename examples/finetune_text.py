"""Fine-tunes 1% of a text encoder, and shows every command of the project on the way.

MiniLM-L6 learns to tell from a gloss of WordNet, such as "a sweet quick bread baked in a cup-shaped pan", in which of its 45 files
the word stands: food, animals, feelings, verbs of motion … The example makes several masks, trains with each of them and in other
ways, and prints a table. It ends with a model that needs neither mask nor patch.

    scripts/example text
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, AutoTokenizer

import common
import frogmask
from common import Method, Result
from frogmask.errors import MissingError

WORDNET = Path("/usr/share/wordnet")
CLASSES = 45
# One pass over so many glosses, 80 steps.
TRAINING, VALIDATION, TEST = 2560, 500, 2000
BATCH = 32
HEAD_RATE = 1e-2
LORA_RANK = 3
SIGNAL_TEXTS = 64

METHODS = (
    Method("head only", 3e-2),
    Method("random", 1e-2, masks="masks-random"),
    Method("FROG, global", 3e-2, masks=f"masks/global-lora{LORA_RANK}"),
    Method("FROG, uniform rowcol", 1e-2, masks=f"masks/uniform-lora{LORA_RANK}-rowcol"),
    Method("LoRA", 3e-3),
    Method("all weights", 3e-4),
)
CONTROL = "random"
SAVED = "FROG, uniform rowcol"
CONTENTS = (
    *(
        "masks",
        "masks-random",
        "glosses.txt",
        "signals",
        "masks-wanda",
        "analysis",
        "patch",
        "head.safetensors",
        "merged",
        "adapter",
        "comparison",
        "results.json",
    ),
    *("masks.html", "analysis.html", "comparison.html"),
)

Example = tuple[str, int]


# MARK: Data


def read_glosses(folder: Path) -> list[Example]:
    """The glosses of WordNet, each with the number of its lexicographer file, in the order of the database."""
    examples = []
    for part in ("adj", "adv", "noun", "verb"):
        path = folder / f"data.{part}"
        if not path.is_file():
            raise MissingError(f"there is no {path}; install Debian's package wordnet-base, or run scripts/setup --peers")
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(" "):  # the licence
                continue
            entry, _, gloss = line.partition(" | ")
            definition, _, _ = gloss.partition('; "')  # without the sentences that use the word
            examples.append((definition.strip(), int(entry.split()[1])))
    return examples


class Data:
    """Glosses for training, which depend on a seed, and for validation and test, which do not."""

    def __init__(self, glosses: Sequence[Example], scale: float) -> None:
        shuffled = random.Random(0).sample(glosses, len(glosses))
        self.test = shuffled[: round(TEST * scale)]
        self.validation = shuffled[TEST : TEST + round(VALIDATION * scale)]
        self._rest = shuffled[TEST + VALIDATION :]
        self._size = round(TRAINING * scale)

    def training(self, seed: int) -> list[Example]:
        return random.Random(seed).sample(self._rest, self._size)


# MARK: Model


class Classifier(nn.Module):
    """An encoder, the mean of its outputs over all tokens, and a new linear head."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        super().__init__()
        # As it is loaded, in evaluation mode, an encoder has no dropout. Training sees each gloss once, and needs none.
        self.encoder = AutoModel.from_pretrained(folder, add_pooling_layer=False)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        torch.manual_seed(seed)
        self.head = nn.Linear(self.encoder.config.hidden_size, CLASSES)

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts → logits, float32 [texts, classes]."""
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=48, return_tensors="pt")
        outputs = self.encoder(**tokens).last_hidden_state
        weights = tokens["attention_mask"].unsqueeze(-1).float()
        logits: torch.Tensor = self.head((outputs * weights).sum(1) / weights.sum(1))
        return logits

    @torch.inference_mode()
    def accuracy(self, examples: Sequence[Example]) -> float:
        """The share of examples that are told right, in percent."""
        right = sum(int((self(texts).argmax(1) == labels).sum()) for texts, labels in batches(examples))
        return 100 * right / len(examples)


def batches(examples: Sequence[Example], seed: int = 0) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Batches of texts of about one length, which need little padding, in random order."""
    by_length = sorted(examples, key=lambda example: len(example[0]))
    starts = list(range(0, len(by_length), BATCH))
    random.Random(seed).shuffle(starts)
    for start in starts:
        texts, labels = zip(*by_length[start : start + BATCH])
        yield list(texts), torch.tensor(labels)


# MARK: Training


def trained_parameters(model: Classifier, method: Method, out: Path) -> tuple[list[nn.Parameter], frogmask.SparseTuning | None]:
    """What a method trains beside the head."""
    model.encoder.requires_grad_(False)
    if method.masks is not None:
        tuning = frogmask.SparseTuning(model.encoder, frogmask.load(out / method.masks))
        return tuning.parameters(), tuning
    if method.name == "LoRA":
        from peft import LoraConfig, get_peft_model  # takes seconds, which --evaluate need not wait for

        options = LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules=["query", "key", "value", "dense"])
        model.encoder = get_peft_model(model.encoder, options)
    elif method.name == "all weights":
        model.encoder.requires_grad_(True)
    return [weight for weight in model.encoder.parameters() if weight.requires_grad], None


def train(model: Classifier, method: Method, rate: float, seed: int, data: Data, out: Path) -> tuple[Result, frogmask.SparseTuning | None]:
    """Trains a model in one pass over the training data, and tests it."""
    weights, tuning = trained_parameters(model, method, out)
    groups = [{"params": list(model.head.parameters()), "lr": HEAD_RATE if weights else rate}]
    if weights:
        groups.append({"params": weights, "lr": rate})
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    if tuning is not None:
        tuning.attach(optimizer)
    training = list(batches(data.training(seed), seed))
    schedule = common.schedule(optimizer, steps=len(training))
    for texts, labels in training:
        nn.functional.cross_entropy(model(texts), labels).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    count = sum(weight.numel() for weight in weights)
    return Result(method.name, rate, seed, count, model.accuracy(data.validation), model.accuracy(data.test)), tuning


def evaluate(out: Path, model_folder: Path, data: Data) -> None:
    """Tests what has been saved: the base model with the patch, and the merged model. They are the same."""
    if not (out / "merged").is_dir():
        raise MissingError(f"there is no folder {out / 'merged'}; run the example without --evaluate first")
    for name, folder, patch in (("patched", model_folder, out / "patch"), ("merged", out / "merged", None)):
        model = Classifier(folder)
        if patch is not None:
            frogmask.apply(model.encoder, patch)
        model.head.load_state_dict(load_file(out / "head.safetensors"))
        print(f"{name} model: {model.accuracy(data.test):.2f}% of the test data are right")


def main() -> None:
    parser = common.Parser(__doc__, out="example-text", seeds=2)
    parser.add_argument("--model", type=Path, required=True, help="the encoder, with its tokenizer; scripts/example fetches it")
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="the folder of WordNet's database (default: %(default)s)")
    options = parser.parse_args()
    common.quiet()
    out: Path = options.out
    base: Path = options.model
    if not (base / "config.json").is_file():
        raise MissingError(f"there is no {base / 'config.json'}; --model is a folder as Hugging Face stores models")
    data = Data(read_glosses(options.wordnet), options.scale)
    if options.evaluate:
        return evaluate(out, base, data)
    log = common.Log(out, Path(__file__).stem, CONTENTS)

    log.say("1. Look at the model, and at what a run would need.")
    log.run("frog-mpi", "inspect", base, show="class|matrix|skipped")
    log.run("frog-mpi", "plan", base, show="matrices|weights|memory|wall time")
    log.run("frog-mpi", "doctor", base, "--out", out / "masks")
    log.run("frog-mpi", "analyze", base, "--out", out / "analysis", "--threads", "1", show="mean alpha |over|under")

    log.say(f"\n2. Make masks of as many weights as LoRA of rank {LORA_RANK} has: four ways to choose, and a random one to compare with.")
    # The classifier takes the mean over all tokens in place of what the pooler makes, so the pooler is left out.
    choice = ("--budget", f"lora:{LORA_RANK}", "--exclude", "pooler.*", "--threads", "1")
    kinds = ("--select", "global,uniform", "--normalize", "none,rowcol")
    log.run("frog-mpi", "mask", base, "--out", out / "masks", *choice, *kinds, show="global|uniform")
    log.run("frog-mpi", "mask", base, "--out", out / "masks-random", *choice, "--score", "random", show="kept")
    # Another mask, of weights that are large and meet large inputs, is not trained below: add it to METHODS.
    (out / "glosses.txt").write_text("\n".join(text for text, _ in data.training(seed=0)[:SIGNAL_TEXTS]) + "\n", encoding="utf-8")
    log.run("frogmask", "signals", base, "--data", out / "glosses.txt", "--kind", "activation", "--out", out / "signals")
    log.run(
        "frog-mpi", "mask", base, "--out", out / "masks-wanda", *choice, "--score", "magnitude", "--weight-by", out / "signals", show="kept"
    )  # fmt: skip
    log.run("frog-mpi", "verify", out / "masks", "--checkpoint", base)
    log.run("frog-mpi", "inspect", out / "masks", show="mask|global|uniform")
    saved = out / next(method.masks for method in METHODS if method.name == SAVED and method.masks)
    log.run("frog-mpi", "inspect", saved, "--layers", show="most|least")
    log.run("frogmask", "info", saved, "--checkpoint", base, show="masks|tensors|kept")

    log.say("\n3. Train with each of them, and in other ways.")
    results = []
    for method, rate, seed in common.trainings(METHODS, options.seeds, options.sweep):
        model = Classifier(base, seed)
        result, tuning = train(model, method, rate, seed, data, out)
        log.result(result)
        results.append(result)
        if tuning is not None and (method.name, rate, seed) == (SAVED, method.rate, 0):
            tuning.save(out / "patch")
            save_file(model.head.state_dict(), out / "head.safetensors")
    common.save(results, out / "results.json")
    log.say("\n" + common.table(results, CONTROL))

    log.say("\n4. Merge the patch into the model, and use both in a new process.")
    log.run("frogmask", "info", out / "patch", "--checkpoint", base, show="patch|tensors|kept")
    log.run("frogmask", "merge", base, out / "patch", "--out", out / "merged")
    again = ("--evaluate", "--out", out, "--model", base, "--wordnet", options.wordnet, "--scale", str(options.scale))
    log.run("python", Path(__file__), *again)
    log.run("frogmask", "convert", out / "patch", "--to", "supertuning", "--checkpoint", base, "--out", out / "adapter")

    log.say("\n5. See what tuning has changed.")
    log.run("frog-mpi", "compare", base, out / "merged", "--out", out / "comparison", "--threads", "1", show="equal|change of|verdict")
    for folder, page in ((saved, "masks.html"), (out / "analysis", "analysis.html"), (out / "comparison", "comparison.html")):
        log.run("frogmask", "report", folder, "--out", out / page)
    log.say(f"\nAll of it is in {out}, after {time.monotonic() - log.started:.0f} s.")


if __name__ == "__main__":
    common.start(main)
