"""What a report says of each run in words: what it is, what it left out, with which options."""

from __future__ import annotations

import json

from frogmask.report.numbers import count, percent
from frogmask.report.picture import Table
from frogmask.report.runs import AnalysisRun, ComparisonRun, MaskRun, Run


def facts(run: Run) -> list[tuple[str, str]]:
    """Names and values, the most important first."""
    if isinstance(run, MaskRun):
        return _of_mask(run)
    if isinstance(run, ComparisonRun):
        return _of_comparison(run)
    found = [("kind", "analysis")]
    if isinstance(run, AnalysisRun):
        found += _checkpoint(run)
        summary = run.record.get("summary")
        alpha = summary.get("alpha") if isinstance(summary, dict) else None
        if isinstance(alpha, int | float):
            found.append(("mean α", f"{alpha:.3f}"))
    return found


def _of_mask(run: MaskRun) -> list[tuple[str, str]]:
    weights = sum(row.size for row in run.matrices)
    found = [("kind", "mask"), *_checkpoint(run)]
    found.append(("kept", f"{count(run.kept)} ({percent(run.kept / weights if weights else 0)})"))
    parameters = run.parameters
    words = [f"--select {parameters.get('select')}"]
    words += [f"--score {parameters.get('score')}"] if parameters.get("score") != "frog" else []
    words += [f"--normalize {parameters.get('normalize')}"] if parameters.get("normalize") not in (None, "none") else []
    words += [f"--sample {parameters.get('sample')}"] if parameters.get("sample") is not None else []
    found.append(("chosen by", " ".join(words)))
    if run.threshold is not None:
        found.append(("threshold", f"{run.threshold:.6g}"))
    spread = run.record.get("concentration")
    if isinstance(spread, dict) and isinstance(spread.get("effective_rows"), float | int):
        rows, columns = spread["effective_rows"], spread.get("effective_columns")
        found.append(("effective rows, columns", f"{percent(rows)}, {percent(columns)}"))
    return [*found, ("starved matrices", count(run.starved))]


def _of_comparison(run: ComparisonRun) -> list[tuple[str, str]]:
    found = [("kind", "comparison")]
    if isinstance(pairs := run.record.get("pairs"), int):
        found.append(("pairs of matrices", count(pairs)))
    compared = run.record.get("compared")
    if isinstance(compared, dict) and isinstance(compared.get("base"), float | int):
        found.append(("compared of the base", percent(compared["base"])))
    update = run.record.get("update")
    if isinstance(update, dict) and isinstance(update.get("relative_norm"), float | int):
        found.append(("‖ΔW‖ / ‖W‖", percent(update["relative_norm"])))
    verdict = run.record.get("verdict")
    if isinstance(verdict, dict):
        found.append(("verdict", str(verdict.get("status"))))
    return found


def _checkpoint(run: Run) -> list[tuple[str, str]]:
    found = run.record.get("checkpoint")
    if not isinstance(found, dict):
        return []
    words = [
        (name, count(found[key])) for key, name in (("matrices", "matrices"), ("weights", "weights")) if isinstance(found.get(key), int)
    ]
    if run.coverage is not None and isinstance(share := run.coverage.get("counted"), float | int):
        words.append(("counted of the model", percent(share)))
    return words


def left_out(run: Run) -> Table | None:
    """The tensors that do not count as weight matrices, by reason, largest first; None if the run does not say."""
    found = run.coverage.get("left_out") if run.coverage is not None else None
    if not isinstance(found, list):
        return None
    keys = ("reason", "class", "tensors", "weights", "share", "largest")
    rows = [tuple(entry.get(key) for key in keys) for entry in found if isinstance(entry, dict)]
    shown = [(*row[:4], percent(row[4]) if isinstance(row[4], int | float) else "", row[5]) for row in rows]
    return Table(("reason", "class", "tensors", "weights", "share of the model", "largest"), shown, "frog-mpi inspect CHECKPOINT")


def flagged(run: Run) -> Table | None:
    """What is wrong with matrices: flags of a comparison, warnings of an analysis; None if there is nothing."""
    if isinstance(run, ComparisonRun):
        return _reasons(run.record.get("flags"), ("matrix", "kinds", "message"))
    if isinstance(run, MaskRun | AnalysisRun) and run.measured is not None:
        return _reasons(run.measured.summary.get("warnings"), ("matrix", "message"))
    return None


def _reasons(entries: object, keys: tuple[str, ...]) -> Table | None:
    if not isinstance(entries, list) or not entries:
        return None
    rows = [tuple(_words(entry.get(key)) for key in keys) for entry in entries if isinstance(entry, dict)]
    return Table(keys, rows, "summary.json")


def parameters(run: Run) -> Table:
    """The options of the run, and which program and libraries it ran with."""
    rows = [(key, _words(value)) for key, value in run.parameters.items() if value is not None and value != []]
    rows += [(key, _words(run.record[key])) for key in ("version",) if key in run.record]
    rows += [(key, _words(run.run[key])) for key in ("mpi", "blas") if key in run.run]
    checkpoint = run.record.get("checkpoint")
    if isinstance(checkpoint, dict):
        rows.append(("fingerprint", _words(checkpoint.get("fingerprint"))))
    return Table(("parameter", "value"), rows)


def _words(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)
