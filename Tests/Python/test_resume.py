"""Runs that are interrupted, and go on: the same bytes, or a refusal that names what is different."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

import layouts
from harness import LONG, assert_refused, final_files

WORK = ".frog-mpi"


def contents(out):
    """Everything that must not differ between equal runs."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file() and path.name != "run.json"}


def records(out):
    return sorted((out / WORK).glob("*.frogrec"))


class Interrupted:
    """An output folder as a killed run leaves it: with its journal, and nothing under a final name."""

    def __init__(self, frog, source, folder, *options, ranks=2):
        self.frog, self.source, self.options = frog, source, options
        self.reference = folder / "reference"
        frog.mask(source, self.reference, *options, ranks=ranks)
        self.out = folder / "out"
        frog.mask(source, self.out, "--keep-work", *options, ranks=ranks)
        assert contents(self.out) == contents(self.reference)
        for name in final_files(self.out):
            (self.out / name).unlink()
        (self.out / WORK / "commit.json").unlink()

    def lose(self, share):
        """Removes this share of the records, others than the first."""
        for path in random.Random(1).sample(records(self.out)[1:], int(share * (len(records(self.out)) - 1))):
            path.unlink()

    def resume(self, *options, ranks=2):
        return self.frog("mask", self.source, "--out", self.out, "--resume", *self.options, *options, ranks=ranks)

    def assert_resumed(self, result):
        assert result.status == 0, str(result)
        assert contents(self.out) == contents(self.reference)
        assert not (self.out / WORK).exists()


def statistics(out):
    return json.loads((out / "run.json").read_text())


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_any_number_of_ranks_goes_on(frog, checkpoint, tmp_path, share, ranks):
    run = Interrupted(frog, checkpoint("bf16_sharded"), tmp_path)
    run.lose(share)
    left = len(records(run.out))
    result = run.resume("--threads", 1, ranks=ranks)
    run.assert_resumed(result)
    assert statistics(run.out)["resumed_matrices"] == left
    assert f"resuming with {left} of" in result.stderr


@pytest.mark.parametrize(
    "options",
    [("--select", "matrix", "--budget", "5%"), ("--select", "uniform"), ("--normalize", "rowcol"), ("--sample", 2, "--seed", 7),
     ("--score", "magnitude"), ("--score", "lift", "--rank", 4), ("--rank", 8, "--oversample", 2, "--audit", 2),
     ("--target-overlap", 0.5, "--oversample", 2, "--audit", 2), ("--precision", "f32", "--format", "bitmap")],
    ids=lambda options: " ".join(map(str, options)),
)  # fmt: skip
def test_every_way_to_score_goes_on(frog, checkpoint, tmp_path, options):
    run = Interrupted(frog, checkpoint("mixed"), tmp_path, *options)
    run.lose(0.5)
    run.assert_resumed(run.resume("--threads", 1, ranks=3))


def test_stacks_and_parts_go_on(frog, tmp_path):
    source = tmp_path / "in"
    layouts.write_layout(source, "gpt-oss (BF16)")
    run = Interrupted(frog, source, tmp_path, "--split-fused")
    run.lose(0.5)
    run.assert_resumed(run.resume("--threads", 1))


def test_the_number_of_threads_is_the_runs(frog, checkpoint, tmp_path):
    run = Interrupted(frog, checkpoint("minilm"), tmp_path)
    run.lose(0.7)
    result = run.resume("--threads", 2, ranks=1)
    run.assert_resumed(result)
    assert "began with 1 thread" in result.stderr


def test_without_a_journal_a_run_begins(frog, checkpoint, tmp_path):
    source, out = checkpoint("mixed"), tmp_path / "out"
    frog.mask(source, out, "--resume")
    assert statistics(out)["resumed_matrices"] == 0
    before = contents(out)
    # Again: there is nothing left to do, with any number of ranks.
    for ranks in (1, 3):
        result = frog("mask", source, "--out", out, "--resume", ranks=ranks)
        assert result.status == 0, str(result)
        assert "finished earlier" in result.stdout
    assert contents(out) == before
    assert_refused(frog("mask", source, "--out", out, "--resume", "--keep", 5), 64, "--keep was none, is 5", "--budget")
    assert contents(out) == before


def test_kept_work_is_published_again(frog, checkpoint, tmp_path):
    source, out = checkpoint("mixed"), tmp_path / "out"
    frog.mask(source, out, "--keep-work")
    assert (out / WORK / "identity.json").exists() and not (out / WORK / "lock").exists()
    assert_refused(frog("mask", source, "--out", out), 64, "--resume")
    result = frog("mask", source, "--out", out, "--resume")
    assert result.status == 0 and not (out / WORK).exists(), str(result)
    assert frog("verify", out, "--checkpoint", source).status == 0


def test_another_checkpoint_is_refused_by_name(frog, checkpoint, tmp_path):
    source = shutil.copytree(checkpoint("bf16_sharded"), tmp_path / "in")
    run = Interrupted(frog, source, tmp_path)
    matrix = json.loads((run.reference / "frog.json").read_text())["matrices"][3]["tensor"]
    shard = source / json.loads((source / "model.safetensors.index.json").read_text())["weight_map"][matrix]
    original = shard.read_bytes()
    times = (shard.stat().st_atime_ns, shard.stat().st_mtime_ns)
    start = 8 + int.from_bytes(original[:8], "little")
    at = start + json.loads(original[8:start])[matrix]["data_offsets"][0]
    shard.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
    os.utime(shard, ns=times)
    assert_refused(run.resume(), 64, "weights in", shard.name)
    length = int.from_bytes(original[:8], "little")
    shard.write_bytes((length + 8).to_bytes(8, "little") + original[8 : 8 + length] + b" " * 8 + original[8 + length :])
    assert_refused(run.resume(), 64, shard.name, "bytes")
    shard.write_bytes(original)
    run.assert_resumed(run.resume())


def test_another_version_is_refused(frog, checkpoint, tmp_path):
    run = Interrupted(frog, checkpoint("mixed"), tmp_path)
    path = run.out / WORK / "identity.json"
    identity = json.loads(path.read_text())
    path.write_text(json.dumps(identity | {"version": "0.0.1"}))
    assert_refused(run.resume(), 64, "version 0.0.1")
    path.write_text(json.dumps(identity | {"format_version": 99}))
    assert_refused(run.resume(), 65, "identity.json")
    path.write_text("{")
    assert_refused(run.resume(), 65, "identity.json", "--overwrite")
    frog.mask(run.source, run.out, "--overwrite", ranks=2)
    assert contents(run.out) == contents(run.reference)


def damages(size):
    """Name → what becomes of a record's bytes."""
    yield "empty", lambda data: b""
    yield "half", lambda data: data[: size // 2]
    yield "longer", lambda data: data + b"\0"
    yield "zeros", lambda data: bytes(size)
    for share in [0, 0.3, 0.7, 0.98, 1]:
        at = min(size - 1, int(share * size))
        yield f"byte {share}", lambda data, at=at: data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


@pytest.mark.parametrize("number", range(9))
def test_a_damaged_record_is_done_again(frog, checkpoint, tmp_path, number):
    run = Interrupted(frog, checkpoint("mixed"), tmp_path)
    path = records(run.out)[1]
    data = path.read_bytes()
    _, damage = list(damages(len(data)))[number]
    path.write_bytes(damage(data))
    result = run.resume()
    run.assert_resumed(result)
    assert result.stderr.count("was damaged") == 1
    assert statistics(run.out)["resumed_matrices"] == len(list(json.loads((run.out / "frog.json").read_text())["matrices"])) - 1


def test_a_flipped_bit_anywhere_in_a_record_is_noticed(frog, checkpoint, tmp_path):
    """All bytes of a small record in the long run, every 97th otherwise: --resume does the matrix again."""
    run = Interrupted(frog, checkpoint("mixed"), tmp_path, "--keep", 20)
    journal = shutil.copytree(run.out / WORK, tmp_path / "journal")
    path = min(records(run.out), key=lambda path: path.stat().st_size)
    data = path.read_bytes()
    for at in range(0, len(data), 11 if LONG else 397):
        shutil.rmtree(run.out)
        shutil.copytree(journal, run.out / WORK)
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        result = run.resume(ranks=None)
        run.assert_resumed(result)
        assert "was damaged" in result.stderr, f"byte {at} of {path.name}"


def test_a_record_of_another_run_is_not_taken(frog, checkpoint, tmp_path):
    run = Interrupted(frog, checkpoint("mixed"), tmp_path)
    other = Interrupted(frog, checkpoint("mixed"), tmp_path / "other", "--keep", 3)
    shutil.copy(records(other.out)[0], records(run.out)[0])
    shutil.copy(records(run.out)[1], records(run.out)[2])
    result = run.resume()
    run.assert_resumed(result)
    assert result.stderr.count("was damaged") == 2


def test_a_record_that_changes_before_the_masks_are_written_is_noticed(frog, checkpoint, tmp_path):
    """Between scoring and selection a rank looks at its candidates three times; each look compares hashes."""
    source, out = checkpoint("minilm"), tmp_path / "out"
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = [frog.binary, "mask", source, "--out", out, "--threads", 1, "--budget", "5%"]
    noticed = 0
    for _ in range(5):
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, env=environment)
        while not (out / WORK).exists() or not records(out):
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        path = records(out)[0]
        data, times = path.read_bytes(), path.stat()
        with open(path, "r+b") as file:
            file.seek(len(data) // 3)
            file.write(bytes([data[len(data) // 3] ^ 1]))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=60)
        if process.returncode == 74 and "has been damaged" in errors and path.name in errors:
            noticed += 1
        assert final_files(out) == []
        result = frog("mask", source, "--out", out, "--threads", 1, "--budget", "5%", "--resume")
        assert result.status == 0, str(result)
        shutil.rmtree(out)
    assert noticed == 5


def test_two_runs_at_once(frog, checkpoint, tmp_path):
    source, out = checkpoint("minilm"), tmp_path / "out"
    process = subprocess.Popen([str(part) for part in (frog.binary, "mask", source, "--out", out, "--threads", 1)])
    try:
        # Made, locked, and then written to.
        while not (out / WORK / "lock").exists() or not (out / WORK / "lock").read_bytes():
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        for options in [(), ("--overwrite",), ("--resume",)]:
            result = frog("mask", source, "--out", out, *options, ranks=2)
            assert_refused(result, 64, out)
            if options:
                assert str(process.pid) in result.stderr, str(result)
    finally:
        process.kill()
        process.wait()
    # Its lock went with it, the file did not.
    assert (out / WORK / "lock").exists()
    result = frog("mask", source, "--out", out, "--resume", ranks=2)
    assert result.status == 0, str(result)


def test_an_unfinished_run_is_not_passed_over(frog, checkpoint, tmp_path):
    run = Interrupted(frog, checkpoint("mixed"), tmp_path)
    assert_refused(frog("mask", run.source, "--out", run.out, ranks=2), 64, "--resume", "--overwrite")
    refusal = frog("verify", run.out)
    assert_refused(refusal, 65, "did not finish", "--resume")
    frog.mask(run.source, run.out, "--overwrite", "--keep", 3)
    assert json.loads((run.out / "frog.json").read_text())["K"] == 3
    assert not (run.out / WORK).exists()


def test_a_failure_keeps_what_is_finished(frog, checkpoint, tmp_path):
    """A shard that is cut short while another is worked on: the journal stays, and the line says how to go on."""
    source = shutil.copytree(checkpoint("minilm"), tmp_path / "in")
    reference, out = tmp_path / "reference", tmp_path / "out"
    frog.mask(source, reference, ranks=1)
    process = subprocess.Popen(
        [str(part) for part in (frog.binary, "mask", source, "--out", out, "--threads", 1)], stderr=subprocess.PIPE, text=True
    )
    while not (out / WORK).exists() or not records(out):
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    shard = next(source.glob("*.safetensors"))
    data = shard.read_bytes()
    os.truncate(shard, len(data) // 2)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 74 and "--resume" in errors and shard.name in errors, errors
    assert records(out) and final_files(out) == []
    shard.write_bytes(data)
    result = frog("mask", source, "--out", out, "--resume", "--threads", 1)
    assert result.status == 0, str(result)
    assert contents(out) == contents(reference)
    assert statistics(out)["resumed_matrices"] > 0
