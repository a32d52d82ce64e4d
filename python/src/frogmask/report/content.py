"""What a report is made of: the pictures for a set of runs, in the order in which a reader meets them."""

from __future__ import annotations

from frogmask.errors import UsageError
from frogmask.report.charts import budgets, importance, kept, spectra, times, tuning
from frogmask.report.charts.base import Roles
from frogmask.report.details import text
from frogmask.report.picture import Picture
from frogmask.report.runs import AnalysisRun, ComparisonRun, MaskRun, Measured, Run

MOST_RUNS = 16
"""More are no longer told apart side by side."""


def pictures(runs: list[Run]) -> list[Picture]:
    """All pictures that the runs have something for.

    Raises:
        UsageError: There are too many runs for one report.
        FormatError: A file of a run is not of its documented form.
    """
    if len(runs) > MOST_RUNS:
        raise UsageError(f"a report has at most {MOST_RUNS} runs side by side, not {len(runs)}: give some of the folders")
    masks = [run for run in runs if isinstance(run, MaskRun)]
    comparisons = [run for run in runs if isinstance(run, ComparisonRun)]
    measured = _measured(runs)
    roles = Roles(
        [row.role for run in masks for row in run.matrices]
        + [text(row, "role") for run in runs if isinstance(run, AnalysisRun) for row in run.measured.rows]
        + [text(row, "role") for run in comparisons for row in run.rows]
    )
    found: list[Picture] = []
    if masks:
        found += [
            importance.picture(masks, roles),
            kept.shares(masks),
            budgets.sweep(masks),
            budgets.scores(masks, roles),
            kept.concentration(masks, roles),
        ]
    if comparisons:
        found += [tuning.updates(comparisons), tuning.exponents(comparisons, roles)]
    if measured:
        found += [spectra.alphas(measured, roles), spectra.spectrum(measured)]
    return [*found, times.picture(runs)]


def _measured(runs: list[Run]) -> list[tuple[str, Measured]]:
    """The runs with spectra; of those that have the same table, as masks of one run do, the first."""
    found: dict[str, tuple[str, Measured]] = {}
    for run in runs:
        one = run.measured if isinstance(run, MaskRun | AnalysisRun) else None
        if one is not None:
            files = one.summary.get("files")
            found.setdefault(repr(files) if files else run.label, (run.label, one))
    return list(found.values())
