"""Opens the folders that a report is about: masks, several masks, analyses, comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from frogmask import documents
from frogmask.errors import FormatError, MissingError, UsageError
from frogmask.masks import RECORD, SET, Masks
from frogmask.report import details
from frogmask.report.cells import Cell, MatrixRow, Place, cells_of, layer_labels
from frogmask.report.details import Row
from frogmask.report.histograms import FILE as HISTOGRAMS
from frogmask.report.histograms import Histograms
from frogmask.report.spectra import FILE as SPECTRA
from frogmask.report.spectra import Spectra

SUMMARY = "summary.json"
DETAILS = "details.csv"
RUN = "run.json"
NEEDED = ("longname", "role", "depth")
"""The columns that every details.csv has; `analyze --metrics` leaves others out."""
SUMMARY_VERSIONS = (2,)
"""The versions of summary.json that are understood."""


@dataclass(frozen=True, eq=False)
class Run:
    """One folder.

    Attributes:
        folder: Where it lies.
        label: Its name in the report, different from that of all others.
        record: frog.json of masks, summary.json of tables.
        run: run.json: what may differ between equal runs; empty if the file is not there.
    """

    folder: Path
    label: str
    record: dict[str, Any]
    run: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """The options of the run that shape its results."""
        found = self.record.get("parameters")
        return found if isinstance(found, dict) else {}

    @property
    def coverage(self) -> dict[str, Any] | None:
        """How much of the checkpoint was worked on; None for comparisons, which say it otherwise."""
        found = self.record.get("coverage")
        return found if isinstance(found, dict) else None


@dataclass(frozen=True, eq=False)
class Measured:
    """The rows of details.csv with what summary.json says of all matrices; of masks only where spectra were measured."""

    summary: dict[str, Any]
    rows: list[Row]
    spectra: Spectra | None


@dataclass(frozen=True, eq=False)
class MaskRun(Run):
    """The output folder of one mask.

    Attributes:
        matrices: By ordinal.
        kept: K, the number of kept weights.
        measured: Spectra, if the run measured them.
    """

    matrices: list[MatrixRow]
    kept: int
    measured: Measured | None = None

    @property
    def threshold(self) -> float | None:
        """The smallest kept value of the whole model; None if matrices have thresholds of their own."""
        found = self.record.get("threshold")
        return float(found) if isinstance(found, float | int) else None

    @property
    def starved(self) -> int:
        """How many matrices keep less than a tenth of a uniform share."""
        found = self.record.get("starved")
        return found if isinstance(found, int) else 0

    @cached_property
    def layers(self) -> dict[Place, str]:
        """The words for layers on an axis, by place and in order."""
        return layer_labels(row.place for row in self.matrices)

    @cached_property
    def cells(self) -> list[Cell]:
        """What the matrices of each role of each layer add up to."""
        return cells_of(self.matrices)

    @cached_property
    def histograms(self) -> Histograms | None:
        """The histograms; None if the run wrote none."""
        if HISTOGRAMS not in self.record.get("documents", {}):
            return None
        return Histograms.read(self.folder / HISTOGRAMS, [row.size for row in self.matrices], [row.exponent for row in self.matrices])


@dataclass(frozen=True, eq=False)
class AnalysisRun(Run):
    """The output folder of `frog-mpi analyze`."""

    measured: Measured


@dataclass(frozen=True, eq=False)
class ComparisonRun(Run):
    """The output folder of `frog-mpi compare`.

    Attributes:
        rows: The rows of details.csv: pairs of matrices.
    """

    rows: list[Row] = field(default_factory=list)


def open_runs(folders: list[Path]) -> list[Run]:
    """Opens folders; one with several masks stands for all of these.

    Raises:
        MissingError: There is no such folder.
        FormatError: A folder is no finished output of frog-mpi, or its files contradict themselves.
        UsageError: A folder is given twice.
    """
    found: list[Run] = []
    for folder in folders:
        if not folder.is_dir():
            raise MissingError(f"there is no folder {folder}")
        if (folder / SET).exists() and not (folder / RECORD).exists():
            found += [_mask(one, folder / RUN) for one in _of_set(folder)]
        elif (folder / RECORD).exists():
            found.append(_mask(folder, folder / RUN))
        elif (folder / SUMMARY).exists():
            found.append(_tables(folder))
        elif (folder / ".frog-mpi").exists():
            raise FormatError(f"{folder} has no {RECORD}: the run that wrote it did not finish: repeat it with --resume")
        else:
            raise FormatError(f"{folder} has no {RECORD}, {SET} or {SUMMARY}: it is no output of frog-mpi mask, analyze or compare")
    labels = _labels([run.folder for run in found])
    return [replace(run, label=label) for run, label in zip(found, labels)]


def _of_set(folder: Path) -> list[Path]:
    masks = documents.read_format(folder / SET, "frog-masks", (1,), "frog-mpi").get("masks")
    entries = masks if isinstance(masks, list) else []
    names = [str(mask.get("folder", "")) if isinstance(mask, dict) else "" for mask in entries]
    # A name that is no plain file name could lead out of the folder.
    if not names or any(name in ("", ".", "..") or Path(name).name != name for name in names):
        raise FormatError(f"{folder / SET} does not name the folders of its masks; make or copy the masks again")
    return [folder / name for name in names]


def _mask(folder: Path, run: Path) -> MaskRun:
    masks = Masks(folder)  # refuses unfinished folders and other versions
    matrices = [MatrixRow.of(entry, masks.path) for entry in masks.matrices]
    if not matrices:
        raise FormatError(f"{masks.path} has no matrices: there is nothing to show")
    measured = None
    if SUMMARY in masks.record.get("documents", {}):
        measured = _measured(folder, documents.read_format(folder / SUMMARY, "frog-analysis", SUMMARY_VERSIONS, "frog-mpi"))
    return MaskRun(folder, folder.name, masks.record, _facts(run), matrices, masks.kept, measured)


def _tables(folder: Path) -> Run:
    summary = documents.read(folder / SUMMARY)
    if summary.get("format") == "frog-comparison":
        summary = documents.read_format(folder / SUMMARY, "frog-comparison", SUMMARY_VERSIONS, "frog-mpi")
        rows = details.read(folder / DETAILS, NEEDED)
        return ComparisonRun(folder, folder.name, summary, _facts(folder / RUN), rows)
    summary = documents.read_format(folder / SUMMARY, "frog-analysis", SUMMARY_VERSIONS, "frog-mpi")
    return AnalysisRun(folder, folder.name, summary, _facts(folder / RUN), _measured(folder, summary))


def _measured(folder: Path, summary: dict[str, Any]) -> Measured:
    rows = details.read(folder / DETAILS, NEEDED)
    spectra = None
    if SPECTRA in summary.get("files", {}):
        spectra = Spectra(folder / SPECTRA, len(rows))
    return Measured(summary, rows, spectra)


def _facts(path: Path) -> dict[str, Any]:
    return documents.read(path) if path.exists() else {}


def _labels(folders: list[Path]) -> list[str]:
    """The fewest last parts of each path that tell all of them apart."""
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        twice = next(folder for folder, path in zip(folders, resolved) if resolved.count(path) > 1)
        raise UsageError(f"{twice} is given twice")
    for count in range(1, max((len(path.parts) for path in resolved), default=1) + 1):
        labels = ["/".join(path.parts[-count:]) for path in resolved]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in resolved]
