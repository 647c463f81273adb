"""`make compare` as its users run it: real gateways, a table, exit codes, and nothing that is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from ostiary_compare.gateway import GOVERNED, UNGOVERNED
from ostiary_compare.kinds import KINDS
from ostiary_compare.peers.ostiary import SPARSELY_TRACED
from ostiary_compare.results import comparison_of

ROOT = Path(__file__).parents[2]
SHORT = ("--rounds", "1", "--seconds", "0.2", "--open-seconds", "0.2", "--rate", "50")
WITH_NGINX = "nginx,ostiary" if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") else "ostiary"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A temporary directory of the command, by which everything that it starts is found."""
    yield tmp_path
    assert running_in(tmp_path) == []


def running_in(folder: Path) -> list[str]:
    """The command lines of processes that were started with this temporary directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str(folder).encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended
            continue
    return [each for each in found if each]


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT / "tools"), str(ROOT / "benchmarks")])
    return subprocess.Popen(
        [sys.executable, "-m", "ostiary_compare", "--results", str(folder / "figures.json"), *SHORT, *arguments],
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_measures_all_kinds_of_requests_and_says_what_was_enforced(folder: Path) -> None:
    process = started(folder, "--only", WITH_NGINX)
    printed, said = process.communicate()
    assert process.returncode == 0, said
    found = comparison_of(json.loads((folder / "figures.json").read_text()))
    assert found.failures == []
    own = [each for each in found.calls if each.way.gateway == "Ostiary"]
    modes = (UNGOVERNED, SPARSELY_TRACED, GOVERNED)
    assert {(each.way.mode, each.way.kind) for each in own} == {(mode, kind) for mode in modes for kind in KINDS}
    for each in own:
        assert each.upstream_requests == 1
        assert each.cpu_microseconds > 0
    listed = {(each.way.mode, each.listed) for each in own if each.way.kind.endswith("list")}
    assert listed == {(UNGOVERNED, 200), (SPARSELY_TRACED, 22), (GOVERNED, 22)}
    seen = {each.mode: each for each in found.governance if each.gateway == "Ostiary"}
    assert seen[GOVERNED].seen.key == "refused (401)"
    assert seen[GOVERNED].seen.rules == "refused by an error"
    assert "of 20 refused" in seen[GOVERNED].seen.limit
    assert (seen[GOVERNED].spans or 0) >= 2
    assert found.origins["Ostiary"].startswith("this checkout")
    for kind in KINDS:
        assert f"{kind}:\n|" in printed


@pytest.mark.parametrize(
    ("number", "until"), [(signal.SIGINT, "starting"), (signal.SIGTERM, "first answer"), (signal.SIGINT, " 1/")]
)
def test_an_interrupted_run_ends_all_that_it_started(folder: Path, number: signal.Signals, until: str) -> None:
    process = started(folder, "--only", "ostiary", "--kind", "session")
    assert process.stderr is not None
    read_until(process.stderr, until)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said


def read_until(lines: IO[str], words: str) -> None:
    """Read progress until a line has these words."""
    for line in lines:
        if words in line:
            return
    pytest.fail(f"it never said {words}")
