"""The command line: what is refused as usage, and what is not."""

import pytest

from harness import assert_refused


@pytest.mark.parametrize(
    "options",
    [("--budget", b) for b in ("101%", "1.5", "-1%", "-0.01", "abc", "", "%", "1%%", "nan", "inf", "1e400", "0x1")]
    + [("--keep", k) for k in ("-1", "1.5", "abc", "99999999999999999999")]
    + [("--budget", "1%", "--keep", "5"), ("--select", "best"), ("--precision", "f16"), ("--format", "text"), ("--io", "dma")]
    + [("--threads", t) for t in ("0", "-1", "many")]
    + [("--no-such-option",), ("surplus",)],
    ids=" ".join,
)  # fmt: skip
def test_refused_options(frog, checkpoint, tmp_path, options):
    # "=" keeps a negative number from being read as an option.
    joined = [f"{a}={b}" for a, b in zip(options[::2], options[1::2])] if len(options) % 2 == 0 else list(options)
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", *joined)
    assert result.status == 64, str(result)
    assert result.stderr.strip() and "Fatal" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_more_than_there_is(frog, checkpoint, tmp_path):
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", "--keep", 19131, ranks=3)
    assert_refused(result, 64, 19131)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [("mask",), ("mask", "somewhere"), ("verify",), ("inspect",), ("no-such-command",)], ids=" ".join)
def test_missing_arguments(frog, arguments):
    assert frog(*arguments).status == 64


def test_one_rank_speaks_for_all(frog, checkpoint, tmp_path):
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", "--budget", "101%", ranks=3)
    assert result.status == 64, str(result)
    assert sum(line.lower().startswith(("error:", "frog-mpi: error:")) for line in result.stderr.splitlines()) == 1, str(result)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("mask", "--help"), ("inspect", "--help"), ("verify", "--help"), ("help", "mask")], ids=" ".join
)
def test_help(frog, arguments):
    result = frog(*arguments)
    assert result.status == 0 and "USAGE" in result.stdout.upper(), str(result)


def test_version(frog):
    result = frog("--version")
    assert result.status == 0
    assert result.stdout.strip()


def test_quiet_says_nothing(frog, checkpoint, tmp_path):
    result = frog("mask", checkpoint("mixed"), "--out", tmp_path / "out", "--quiet", "--select", "uniform", ranks=2)
    assert (result.status, result.stdout, result.stderr) == (0, "", ""), str(result)
