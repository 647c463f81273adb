"""Each command of the toolchain explains itself."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["toolchain.binaries", "toolchain.debian", "toolchain.node", "toolchain.go_module"])
def test_each_command_explains_itself(module: str) -> None:
    tools = Path(sys.modules["ostiary_tools"].__path__[0]).parent
    command = [sys.executable, "-m", f"ostiary_tools.{module}", "--help"]
    done = subprocess.run(command, cwd=tools, check=True, capture_output=True, text=True)
    assert f"usage: python -m ostiary_tools.{module}" in done.stdout
