"""What mask files say, read with NumPy alone and spread over dense arrays; shares no code with the package."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import reference


@dataclass
class Dense:
    """One stored tensor: which weights are kept, their scores, and what the noise factors give, all flat."""

    kept: np.ndarray
    scores: np.ndarray
    noise: np.ndarray


def dense(folder):
    """Tensor → Dense, from the files of an output folder."""
    folder = Path(folder)
    stored = {t.name: t.read() for file in folder.glob("masks-*.safetensors") for t in reference.read_header(file)}
    found, taken = {}, {}
    matrices = json.loads((folder / "frog.json").read_text())["matrices"]
    for matrix in sorted(matrices, key=lambda m: (m["tensor"], (m["slice"] or {}).get("expert") or 0)):
        cut = matrix["slice"] or {"shape": matrix["shape"], "expert": None, "part": None}
        shape = cut["shape"]
        size = math.prod(shape)
        if matrix["tensor"] not in found:
            found[matrix["tensor"]] = Dense(np.zeros(size, bool), np.zeros(size, np.float32), np.full(size, np.nan, np.float32))
        tensor = found[matrix["tensor"]]
        grid = np.arange(size).reshape(shape)
        if len(shape) == 3:
            grid = grid[cut["expert"]]
        if "rows" in cut:
            grid = grid[np.ix_(listed(cut["rows"]), listed(cut["columns"]))]
        name = matrix["tensor"] + (f"[{cut['part']}]" if cut["part"] else "")
        mine = stored[f"{name}.noise_row"], stored[f"{name}.noise_col"]
        if cut["expert"] is not None:
            mine = mine[0][cut["expert"]], mine[1][cut["expert"]]
        tensor.noise[grid] = np.outer(*mine) * np.float32(2.0 ** matrix["score_exponent"])
        if f"{name}.mask" in stored:
            bits = stored[f"{name}.mask"]
            bits = bits if cut["expert"] is None else bits[cut["expert"]]
            kept = grid[np.unpackbits(bits, axis=1, bitorder="little")[:, : grid.shape[1]].astype(bool)]
        else:
            kept = np.intersect1d(stored[f"{name}.indices"].astype(np.int64), grid)
        assert kept.size == matrix["kept"]
        tensor.kept[kept] = True
        # Scores of expert e follow those of e - 1.
        before = taken.get(name, 0)
        taken[name] = before + kept.size
        tensor.scores[np.sort(kept)] = stored[f"{name}.scores"][before : before + kept.size] * np.float32(2.0 ** matrix["score_exponent"])
    return found


def listed(runs):
    """The positions of runs, one by one."""
    return [runs["first"] + run * runs["stride"] + i for run in range(runs["count"]) for i in range(runs["length"])]
