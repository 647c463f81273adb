"""The commands of the tutorial about audit trails, run as they are on the page."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from fenced_blocks import fenced_blocks
from local_run import running

PAGE = "docs/tutorials/12-prove-it-to-an-auditor.md"
ROOT = Path(__file__).parents[2]
EXPECTED = (
    "OK: ",
    "changed.jsonl: line 3",
    "exit code 1",
    "is missing before this line",
    "ends without its closing record",
    "GatewayStarted",
    "no call was denied",
)


def run_shell(script: str, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = ["/bin/bash", "-euc", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


async def test_the_commands_work_as_the_page_describes(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "quickstart", tmp_path / "run" / "quickstart")
    project.mkdir()
    with running(tmp_path / "run" / "quickstart", "--audit-file", str(project / "audit.jsonl")) as run:
        await run.opens()
    state = {"XDG_STATE_HOME": str(tmp_path / "run" / "state")}
    environment = os.environ | state | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    blocks = [block for block in fenced_blocks(PAGE, "sh") if "ostiary run" not in block and "export PATH" not in block]
    done = run_shell("".join(blocks), project, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [words for words in EXPECTED if words not in done.stdout] == [], done.stdout
    first = (project / "audit.jsonl").read_text().splitlines()[0]
    assert f'"hash":"{done.stdout.split()[-2]}"' in first
