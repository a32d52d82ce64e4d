"""The command that repeats a run, from what it has recorded of its options."""

from __future__ import annotations

import shlex
from typing import Any

from frogmask.report.runs import AnalysisRun, ComparisonRun, MaskRun, Run

# Parameters that are not written as `--key value`.
_SPECIAL = frozenset({"budget", "keep", "lora_rank", "importance", "weight_by", "metrics", "histograms", "analyze"})


def command(run: Run) -> str:
    """The words of the command, quoted for a shell; the same options give the same bytes in every file but run.json.

    What the folder does not know is named in capitals: the signals of --weight-by, and the checkpoint without run.json.
    """
    words: list[str] = []
    ranks = run.run.get("ranks")
    if isinstance(ranks, int) and ranks > 1:
        words += ["mpirun", "-n", str(ranks)]
    if isinstance(run, ComparisonRun):
        words += ["frog-mpi", "compare", _place(run, "base"), _place(run, "tuned")]
    else:
        words += ["frog-mpi", "mask" if isinstance(run, MaskRun) else "analyze", _place(run, "checkpoint")]
    words += ["--out", "NEW-FOLDER", *_options(run)]
    return shlex.join(words)


def _place(run: Run, key: str) -> str:
    found = run.run.get(key)
    return found if isinstance(found, str) and found else key.upper()


def _options(run: Run) -> list[str]:
    parameters = dict(run.parameters)
    words: list[str] = []
    if isinstance(run, MaskRun):
        words += _budget(parameters)
        if parameters.get("importance") not in (None, "frobenius"):  # the default, which other selections do not take
            words += ["--importance", str(parameters["importance"])]
        if parameters.get("weight_by") is not None:
            words += ["--weight-by", "SIGNALS"]
        if parameters.get("histograms") is False:
            words.append("--no-histograms")
        if parameters.get("analyze") is True:
            words.append("--analyze")
        if "names.json" in run.record.get("documents", {}):
            words += ["--names", "transformers5"]
        if parameters.get("target_overlap") is not None:  # the run has found the rank by itself
            parameters.pop("rank", None)
    metrics = parameters.get("metrics")
    if isinstance(run, AnalysisRun) and isinstance(metrics, dict):
        columns = metrics.get("metrics")
        if isinstance(columns, list) and columns:
            words += ["--metrics", ",".join(map(str, columns))]
        parameters |= {key: value for key, value in metrics.items() if key != "metrics"}
    for key, value in parameters.items():
        if key not in _SPECIAL:
            words += _option(key, value)
    return words


def _budget(parameters: dict[str, Any]) -> list[str]:
    if parameters.get("keep") is not None:
        return ["--keep", str(parameters["keep"])]
    if parameters.get("lora_rank") is not None:
        return ["--budget", f"lora:{parameters['lora_rank']}"]
    return ["--budget", repr(parameters.get("budget"))]


def _option(key: str, value: Any) -> list[str]:
    name = "--" + key.replace("_", "-")
    if value is None or value == []:
        return []
    if value is True:
        return [name]
    if value is False:  # only that of --conv is an option too: elsewhere it is the default
        return ["--no-conv"] if key == "conv" else []
    if isinstance(value, list):
        return [word for one in value for word in (name, str(one))]
    return [name, str(value)]
