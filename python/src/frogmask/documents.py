"""Reads and writes small JSON documents: frog.json, masks.json, names.json, and those of patches."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frogmask.errors import FormatError, MissingError, UsageError, WriteError

Json = dict[str, Any]


def read(path: Path) -> Json:
    """The object in a JSON file.

    Raises:
        MissingError: There is no such file.
        FormatError: It cannot be read, or holds no JSON object.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise MissingError(f"there is no file {path}") from None
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no JSON document ({error}); make or copy it again") from None
    if not isinstance(found, dict):
        raise FormatError(f"{path} is no JSON object; make or copy it again")
    return found


def read_format(path: Path, name: str, versions: tuple[int, ...], program: str) -> Json:
    """The object in a JSON file of a certain format.

    Args:
        path: The file.
        name: What its `format` must be.
        versions: What its `format_version` may be.
        program: Who makes such files, for the error.

    Raises:
        MissingError: There is no such file.
        FormatError: The file is of another format or version.
    """
    found = read(path)
    if found.get("format") != name:
        raise FormatError(f"{path} is no document of {program}: its format is {found.get('format')!r}, not '{name}'")
    version = found.get("format_version")
    if type(version) is not int or version not in versions:
        known = " or ".join(map(str, versions))
        raise FormatError(
            f"{path}: {name} version {version}; this frogmask reads version {known}: use the frogmask and the {program} of one release"
        )
    return found


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what was written there gets the name `path` when the block ends without an error.

    Raises:
        WriteError: The file could not be written; names the file and the reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        # The name must not become visible before the contents are on the disk.
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, document: Json) -> None:
    """Writes a JSON file, sorted by keys, by way of a temporary name."""
    with written(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def check_new(folder: Path) -> None:
    """Refuses a folder to write to that has something in it.

    Raises:
        UsageError: There is something in it, or it is no folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: give a new folder to --out")
