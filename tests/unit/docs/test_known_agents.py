"""The commands of the tutorial about known agents, run as they are on the page."""

import os
import subprocess
import sys
from pathlib import Path

from fenced_blocks import ROOT, fenced_blocks

PAGE = "docs/tutorials/6-known-agents.md"


def test_the_tutorial_makes_a_key_and_a_policy_that_are_valid(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    script = "set -eu\n" + "".join(block for block in fenced_blocks(PAGE, "sh") if "ostiary run" not in block)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("no problems")
    assert "ostiary.dev/usage: api-key" in (tmp_path / "known-agents" / "support-agent.yaml").read_text()
