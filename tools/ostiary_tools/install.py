"""Creates the virtual environment of this repository, with progress lines.

    python -m ostiary_tools.install .venv requirements/dev.txt

It runs before anything is installed, so it uses only the standard library of the user's Python.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ostiary_tools.common.commands import exit_code
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.progress import reporting, say

#: pip's line at the start of a package.
_BEGUN = re.compile(r"^Collecting (\S+)")
#: pip's messages if the index cannot be reached, or its name does not resolve.
_NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|Temporary failure in name resolution"
    r"|Network is unreachable|No route to host|Failed to establish a new connection|ProxyError|ReadTimeoutError"
    r"|from versions: none"
)
_EVERY = 5.0  # seconds
_TAIL = 12


def install(environment: Path, lock: Path) -> None:
    """Create a virtual environment with the locked packages and this repository.

    Raises:
        ToolError: it cannot be created; the message has the remedy.
    """
    started = time.monotonic()
    total = len(re.findall(r"^[A-Za-z0-9][\w.\[\],-]*==", lock.read_text(), re.MULTILINE))
    say(f"Setting up {environment} with {total} locked packages (once; about a minute)")
    _run([sys.executable, "-m", "venv", str(environment)])
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    progress = Progress(total)
    with reporting(progress.line, every=_EVERY):
        _run([*pip, "--progress-bar", "off", "--require-hashes", "-r", str(lock)], progress)
        _run([*pip, "--no-build-isolation", "--no-deps", "-e", "."])
    say(f"Set up {environment} in {time.monotonic() - started:.0f} s")


class Progress:
    """The progress of pip, from its output."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._seen: set[str] = set()
        self._unpacking = False
        self._retried = False

    def feed(self, line: str) -> None:
        """Process one line of pip's output."""
        if begun := _BEGUN.match(line):
            self._seen.add(begun[1])
        self._unpacking = self._unpacking or line.startswith("Installing collected packages")
        if "WARNING: Retrying" in line and not self._retried:
            self._retried = True
            say("  the package index does not answer; pip tries again")

    def line(self, seconds: float) -> str:
        """Return the progress line after ``seconds``."""
        if self._unpacking:
            return f"  installing {self._total} packages, {seconds:.0f} s so far"
        return f"  fetched {len(self._seen)} of {self._total} packages, {seconds:.0f} s so far"


def _run(command: Sequence[str], progress: Progress | None = None) -> None:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    lines: list[str] = []
    with process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if progress is not None:
                progress.feed(line)
    if process.returncode:
        output = "\n".join(lines)
        tail = "\n".join(f"  {line}" for line in [line for line in lines if line][-_TAIL:])
        raise ToolError(f"{' '.join(command)} failed:\n{tail}\n{remedy(output)}")


def remedy(output: str) -> str:
    """Return the remedy for a failure, by the output of venv or pip."""
    if _NO_NETWORK.search(output):
        return (
            "The package index cannot be reached. With an HTTP proxy set HTTPS_PROXY, with an index of your own "
            "PIP_INDEX_URL, and run this again. Without any network nothing can be installed here: fetch the packages "
            "elsewhere (pip download --require-hashes -r requirements/dev.txt -d wheels), copy them here, and set "
            "PIP_NO_INDEX=1 PIP_FIND_LINKS=wheels."
        )
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in output:
        return "The index serves other files than those locked: check which index pip uses (pip config list)."
    if "No space left on device" in output:
        return "The disk is full."
    if "ensurepip" in output:
        return "This Python cannot make virtual environments: on Debian and Ubuntu install python3-venv."
    return "Run it again with `make V=1` to see each command."


def main() -> int:
    """Create the virtual environment; return 1 and print the reason if that fails."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.install", description=main.__doc__)
    parser.add_argument("environment", type=Path, help="where, such as .venv")
    parser.add_argument("lock", type=Path, help="the file with locked requirements")
    arguments = parser.parse_args()
    return exit_code(lambda: install(arguments.environment, arguments.lock))


if __name__ == "__main__":
    sys.exit(main())
