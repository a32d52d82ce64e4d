"""Teaches a small ConvNet new classes from few examples, with masks that hold weights of its convolutions.

A ConvNeXt of 0.3 million weights learns the digits 0 to 4 of scikit-learn's images. Masks of it are made, and with each of them, and
in other ways, it learns the digits 5 to 9 from ten images of each. The example prints a table, and ends with a model that needs neither
mask nor patch.

    scripts/example vision
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import nn
from transformers import ConvNextConfig, ConvNextForImageClassification

import common
import frogmask
from common import Method, Result
from frogmask.errors import MissingError

PRETRAINING_STEPS, STEPS = 300, 100
EXAMPLES_A_CLASS = 10
VALIDATION, TEST = 200, 400
HEAD_RATE = 1e-2

METHODS = (
    Method("head only", 0.1),
    Method("random", 0.3, masks="masks-random"),
    Method("FROG, global", 0.3, masks="masks/global-1%"),
    Method("FROG, uniform", 0.1, masks="masks/uniform-1%"),
    Method("FROG, uniform rowcol", 0.3, masks="masks/uniform-1%-rowcol"),
    Method("all weights", 1e-2),
)
CONTROL = "random"
SAVED = "FROG, uniform rowcol"
CONTENTS = (
    *("base", "masks", "masks-random", "patch", "head.safetensors", "merged", "comparison", "results.json"),
    *("masks.html", "comparison.html"),
)


# MARK: Data


class Digits:
    """Images, float32 [N, 1, 8, 8] between -1 and 1, and labels from 0 to 4: of the digits 0 to 4, or of 5 to 9."""

    def __init__(self, first: int, scale: float) -> None:
        pixels, digits = load_digits(return_X_y=True)
        chosen = (digits >= first) & (digits < first + 5)
        images = torch.tensor(pixels[chosen], dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1
        labels = torch.tensor(digits[chosen] - first)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        self.images, self.labels = images[order], labels[order]
        self.test = range(round(TEST * scale))
        self.validation = range(TEST, TEST + VALIDATION)
        self.rest = range(TEST + VALIDATION, len(images))

    def few(self, seed: int) -> list[int]:
        """The numbers of some images of each class, neither of test nor of validation; others for each seed."""
        order = torch.randperm(len(self.rest), generator=torch.Generator().manual_seed(seed))
        shuffled = [self.rest[int(number)] for number in order]
        return [number for label in range(5) for number in [n for n in shuffled if self.labels[n] == label][:EXAMPLES_A_CLASS]]


# MARK: Model


def pretrain(folder: Path, digits: Digits, scale: float) -> float:
    """Trains the base model, and saves it as Hugging Face stores models; its accuracy on validation data."""
    torch.manual_seed(0)
    shape = ConvNextConfig(num_channels=1, image_size=8, patch_size=1, num_stages=2, hidden_sizes=[48, 96], depths=[2, 3])
    shape.num_labels, shape.layer_scale_init_value = 5, 1.0
    model = ConvNextForImageClassification(shape)
    steps = round(PRETRAINING_STEPS * scale)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = common.schedule(optimizer, steps)
    for _ in range(steps):
        batch = torch.tensor(digits.rest)[torch.randint(len(digits.rest), (64,))]
        model(pixel_values=digits.images[batch], labels=digits.labels[batch]).loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return accuracy(model, digits, digits.validation)


def with_new_head(folder: Path, seed: int = 0) -> ConvNextForImageClassification:
    """The model of a folder, with a head for new classes."""
    model = ConvNextForImageClassification.from_pretrained(folder)
    torch.manual_seed(seed)
    model.classifier = nn.Linear(model.classifier.in_features, 5)
    return model


@torch.inference_mode()
def accuracy(model: ConvNextForImageClassification, digits: Digits, numbers: range) -> float:
    """The share of some images that are told right, in percent."""
    found = model(pixel_values=digits.images[numbers.start : numbers.stop]).logits.argmax(1)
    return 100 * int((found == digits.labels[numbers.start : numbers.stop]).sum()) / len(numbers)


# MARK: Training


def trained_parameters(
    model: ConvNextForImageClassification, method: Method, out: Path
) -> tuple[list[nn.Parameter], frogmask.SparseTuning | None]:
    """What a method trains beside the head."""
    if method.masks is not None:
        tuning = frogmask.SparseTuning(model, frogmask.load(out / method.masks))
        return tuning.parameters(), tuning
    body = [weight for name, weight in model.named_parameters() if not name.startswith("classifier.")]
    for weight in body:
        weight.requires_grad_(method.name == "all weights")
    return [weight for weight in body if weight.requires_grad], None


def train(
    model: ConvNextForImageClassification, method: Method, rate: float, seed: int, digits: Digits, steps: int, out: Path
) -> tuple[Result, frogmask.SparseTuning | None]:
    """Trains a model with a new head on few images, all of them in each step, and tests it."""
    weights, tuning = trained_parameters(model, method, out)
    head = list(model.classifier.requires_grad_(True).parameters())
    groups = [{"params": head, "lr": HEAD_RATE if weights else rate}]
    if weights:
        groups.append({"params": weights, "lr": rate})
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    if tuning is not None:
        tuning.attach(optimizer)
    schedule = common.schedule(optimizer, steps)
    few = digits.few(seed)
    for _ in range(steps):
        model(pixel_values=digits.images[few], labels=digits.labels[few]).loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    count = sum(weight.numel() for weight in weights)
    validation, test = (accuracy(model, digits, numbers) for numbers in (digits.validation, digits.test))
    return Result(method.name, rate, seed, count, validation, test), tuning


def evaluate(out: Path, digits: Digits) -> None:
    """Tests what has been saved: the base model with the patch, and the merged model. They are the same."""
    if not (out / "merged").is_dir():
        raise MissingError(f"there is no folder {out / 'merged'}; run the example without --evaluate first")
    for name, folder, patch in (("patched", out / "base", out / "patch"), ("merged", out / "merged", None)):
        model = with_new_head(folder)
        if patch is not None:
            frogmask.apply(model, patch)
        model.classifier.load_state_dict(load_file(out / "head.safetensors"))
        print(f"{name} model: {accuracy(model, digits, digits.test):.2f}% of the test data are right")
    old = Digits(0, 1.0)
    model = ConvNextForImageClassification.from_pretrained(out / "merged")
    print(f"merged model with its old head: {accuracy(model, old, old.test):.2f}% of the digits 0 to 4 are right")


def main() -> None:
    options = common.Parser(__doc__, out="example-vision", seeds=5).parse_args()
    common.quiet()
    torch.set_num_threads(1)  # these matrices are too small for several
    out: Path = options.out
    base = out / "base"
    new = Digits(5, options.scale)
    if options.evaluate:
        return evaluate(out, new)
    log = common.Log(out, Path(__file__).stem, CONTENTS)

    log.say("1. Train a model on the digits 0 to 4.")
    log.say(f"    {pretrain(base, Digits(0, 1.0), options.scale):.1f}% of the validation data are right")
    log.run("frog-mpi", "inspect", base, show=".* conv |class|matrix|conv ")

    log.say("\n2. Make masks of 1% of its weights: four ways to choose, and a random one to compare with.")
    choice = ("--budget", "1%", "--threads", "1")
    kinds = ("--select", "global,uniform", "--normalize", "none,rowcol")
    log.run("frog-mpi", "mask", base, "--out", out / "masks", *choice, *kinds, show="global|uniform")
    log.run("frog-mpi", "mask", base, "--out", out / "masks-random", *choice, "--score", "random", show="kept")
    log.run("frog-mpi", "verify", out / "masks", "--checkpoint", base)
    log.run("frog-mpi", "inspect", out / "masks", show="mask|global|uniform")

    log.say(f"\n3. Learn the digits 5 to 9 from {EXAMPLES_A_CLASS} images of each.")
    steps = round(STEPS * options.scale)
    results = []
    for method, rate, seed in common.trainings(METHODS, options.seeds, options.sweep):
        model = with_new_head(base, seed)
        result, tuning = train(model, method, rate, seed, new, steps, out)
        log.result(result)
        results.append(result)
        if tuning is not None and (method.name, rate, seed) == (SAVED, method.rate, 0):
            tuning.save(out / "patch")
            save_file(model.classifier.state_dict(), out / "head.safetensors")
    common.save(results, out / "results.json")
    log.say("\n" + common.table(results, CONTROL))

    log.say("\n4. Merge the patch into the model, and use both in a new process.")
    log.run("frogmask", "merge", base, out / "patch", "--out", out / "merged")
    log.run("python", Path(__file__), "--evaluate", "--out", out, "--scale", str(options.scale))

    log.say("\n5. See what tuning has changed.")
    log.run("frog-mpi", "compare", base, out / "merged", "--out", out / "comparison", "--threads", "1", show="equal|change of|verdict")
    saved = out / next(method.masks for method in METHODS if method.name == SAVED and method.masks)
    log.run("frogmask", "report", saved, "--out", out / "masks.html")
    log.run("frogmask", "report", out / "comparison", "--out", out / "comparison.html")
    log.say(f"\nAll of it is in {out}, after {time.monotonic() - log.started:.0f} s.")


if __name__ == "__main__":
    common.start(main)
