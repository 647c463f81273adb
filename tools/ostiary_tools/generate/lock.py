"""Regenerates `requirements/dev.txt` from pyproject.toml, and the hashes of the wheels.

Locked versions that still fit are kept, unless `--upgrade` takes the newest. A wheel's version is never changed here:
edit the first line of its file, then run this to fetch its hashes.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from ostiary_tools.common.errors import CommandError, ToolError
from ostiary_tools.common.progress import say
from ostiary_tools.toolchain import wheels

ROOT = Path(__file__).parents[3]
_OPTIONS = ("--universal", "--python-version=3.11", "--generate-hashes", "--no-emit-index-url", "--no-header")


def lock_project(uv: Path, *, upgrade: bool) -> None:
    """Lock all extras and the group `dev`."""
    newest = ("--upgrade",) if upgrade else ()
    everything = ("--all-extras", "--group", "dev", "pyproject.toml", "-o", "requirements/dev.txt")
    _compile(uv, *newest, *everything)


def lock_wheel(uv: Path, lock: Path) -> None:
    """Fetch the hashes of the one wheel that `lock` names, for every platform."""
    requirement = lock.read_text().split(maxsplit=1)[0]
    text = _compile(uv, "--no-deps", "--no-annotate", "-", stdin=requirement)
    lock.write_text(text)


def _compile(uv: Path, *arguments: str, stdin: str = "") -> str:
    command = [str(uv), "pip", "compile", "--quiet", *_OPTIONS, *arguments]
    done = subprocess.run(command, cwd=ROOT, input=stdin, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CommandError("uv pip compile", done.returncode, done.stderr)
    return done.stdout


def main() -> int:
    """Regenerate every lock file."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.generate.lock", description=main.__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = parser.parse_args().upgrade
    try:
        uv = wheels.install("uv") / "bin" / "uv"
        say("Locking requirements/dev.txt and tools/wheels/")
        lock_project(uv, upgrade=upgrade)
        for lock in sorted(wheels.LOCKS.glob("*.txt")):
            lock_wheel(uv, lock)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
