"""scripts/check-imports on small trees: what it refuses, and what it must let pass."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/check-imports"


@pytest.fixture
def check(tmp_path):
    """Files by path → the lines that the script prints about a repository of these."""

    def run(files):
        (tmp_path / "Sources").mkdir()
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
        assert done.stdout == "" and (done.returncode == 1) == bool(done.stderr), done
        return done.stderr.replace(f"{tmp_path}/", "").splitlines()

    return run


def test_the_repository_itself():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "path, text, complaint",
    [
        ("Sources/DistSVD/A.swift", "\nimport FROGDist\n", "2: DistSVD imports FROGDist, which stands above it"),
        ("Sources/MPI/A.swift", "import struct DistSVD.X", "1: MPI imports DistSVD, which stands above it"),
        ("Sources/DistSVD/A.swift", "package import ShardIO", "1: DistSVD may not import ShardIO"),
        ("Sources/FROGDist/A.swift", "import CMPI", "1: FROGDist may not import CMPI"),
        ("Sources/DistSVD/A.swift", "import Crypto", "1: DistSVD may not import Crypto"),
        ("Sources/MPI/A.swift", "import Novelty", "1: MPI imports Novelty, which scripts/check-imports does not know"),
        ("Tests/RankChecks/A.swift", "import ShardFiles", "1: rank-checks imports ShardFiles, which scripts/check-imports does not know"),
        ("Tests/TestSupport/A.swift", "import FROGDist", "1: TestSupport may not import FROGDist"),
        ("Sources/CKernels/a.c", "#include <mpi.h>", "1: CKernels may not include mpi.h"),
        ("Sources/CMPI/include/a.h", '  # include "zlib.h"', "1: CMPI may not include zlib.h"),
    ],
)
def test_import_refused(check, path, text, complaint):
    assert check({path: text}) == [f"{path}:{complaint}"]


def test_unknown_module(check):
    assert check({"Sources/Novelty/A.swift": ""}) == ["Sources/Novelty: scripts/check-imports does not know this module"]


def test_languages_keep_apart(check):
    assert check({"Sources/MPI/a.c": "", "Sources/CMPI/A.swift": ""}) == [
        "Sources/CMPI/A.swift: Swift in a C target",
        "Sources/MPI/a.c: C in a Swift module",
    ]


def test_imports_that_pass(check):
    """Own modules below, directly or by way of others; test targets may import anything."""
    assert not check(
        {
            "Sources/DistSVD/A.swift": "import CKernels\nimport Glibc\nimport MPI\n",
            "Sources/frog-mpi/A.swift": "import ArgumentParser\nimport FROGDist\nimport ShardIO\n",
            "Tests/MPITests/A.swift": "import Novelty\nimport Testing\n",
            "Sources/CKernels/a.c": "#include <stdint.h>\n#include <zlib.h>\n",
            "Sources/MPI/A.swift": 'let python = """\n  import Novelty\n  """\n',
        }
    )


def test_circle_of_folders(check):
    """Each edge is named with the first place that makes it; a folder that only leads into the circle is not part of it."""
    assert check(
        {
            "Sources/DistSVD/Low/A.swift": "struct A {\n  let b: B\n}\n",
            "Sources/DistSVD/Middle/B.swift": "package struct B {}\nfunc c() -> C { C() }\n",
            "Sources/DistSVD/High/C.swift": 'struct C: P { var text = "\\(A.self)" }\n',
            "Sources/DistSVD/Top/D.swift": "struct D { let a: A }\n",
            "Sources/DistSVD/P.swift": "protocol P {}\n",
        }
    ) == [
        "Sources/DistSVD: the folders High, Low, Middle name each other in a circle:",
        "    High uses Low: Sources/DistSVD/High/C.swift:1 names A",
        "    Low uses Middle: Sources/DistSVD/Low/A.swift:2 names B",
        "    Middle uses High: Sources/DistSVD/Middle/B.swift:2 names C",
    ]


def test_function_makes_a_circle(check):
    lines = check({"Sources/MPI/One/A.swift": "func a() { b() }\n", "Sources/MPI/Two/B.swift": "func b() { a() }\n"})
    assert lines[0] == "Sources/MPI: the folders One, Two name each other in a circle:"


@pytest.mark.parametrize(
    "text",
    [
        "// B\n/* B /* nested */ B */\n/// B\n",
        'let a = "B \\" B"\nlet b = """\n  B "B" \\(1)\n  """\nlet c = #"B " \\(B)"#\n',
        "let a = Other.B()\n",
        "let b = 1\n",
        "struct X { struct B {}; let b: B }\n",
        "struct X { func c() {}; func d() { c() } }\n",
        "let c = 1\n",
        "extension X { struct Bs {} }\n",
    ],
    ids=["comments", "strings", "member", "lower case", "nested type", "method", "not a call", "part of a word"],
)
def test_no_circle(check, text):
    """Two uses A of One; what One holds only looks as if it used B or c of Two."""
    two = "struct B {}\nfunc c() { A() }\nprivate struct X {}\nextension A { struct E {} }\n"
    assert not check({"Sources/MPI/Two/B.swift": two, "Sources/MPI/One/A.swift": "struct A {}\n" + text})
