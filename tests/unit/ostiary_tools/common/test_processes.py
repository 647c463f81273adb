import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.processes import Process, ProcessDiedError, wait_until

TOOLS = str(Path(sys.modules["ostiary_tools"].__path__[0]).parent)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def python(tmp_path: Path, code: str) -> Process:
    return Process("child", [sys.executable, "-c", code], log=tmp_path / "log")


def wait_for_output(process: Process) -> None:
    wait_until(lambda: process.log.stat().st_size > 0, what="output", processes=[process])


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    process = python(tmp_path, "import sys; print('out', flush=True); print('err', file=sys.stderr)")
    wait_until(lambda: not process.running, what="its end")
    assert process.log_tail() == "out\nerr"
    assert process.log_tail(lines=1) == "err"


def test_a_child_that_died_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = python(tmp_path, "raise SystemExit('no such flag')")
    with pytest.raises(ProcessDiedError, match=r"child ended with 1\nno such flag"):
        wait_until(lambda: False, what="never", processes=[process])


def test_a_wait_that_fails_names_its_condition(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"waited 0\.05 s in vain: the moon"):
        wait_until(lambda: False, what="the moon", timeout=0.05)


def test_stop_ends_a_willing_child_with_sigterm(tmp_path: Path) -> None:
    process = python(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    wait_for_output(process)
    assert process.stop() == -signal.SIGTERM
    assert not process.running


def test_stop_kills_a_stubborn_child(tmp_path: Path) -> None:
    process = python(tmp_path, STUBBORN)
    wait_for_output(process)
    assert process.stop(grace=0.1) == -signal.SIGKILL


def test_stopping_what_has_ended_is_no_error(tmp_path: Path) -> None:
    process = python(tmp_path, "raise SystemExit(7)")
    wait_until(lambda: not process.running, what="its end")
    assert (process.stop(), process.kill()) == (7, 7)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can tie a child to its parent")
def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from ostiary_tools.common.processes import Process
child = Process("child", [sys.executable, "-c", {STUBBORN!r}], log=Path({str(tmp_path / "log")!r}))
while child.log.stat().st_size == 0: time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": TOOLS}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    wait_until(lambda: not alive(pid), what="the child's end")
