"""The programs of a control plane, kubectl and helm, built from source once per machine.

`python -m ostiary_tools.toolchain.binaries [NAME…]` prints their paths, and builds them first if necessary.
"""

import subprocess
import sys
import time
from pathlib import Path

from ostiary_tools.common.commands import print_programs
from ostiary_tools.common.errors import CommandError, ToolError
from ostiary_tools.common.progress import reporting, say
from ostiary_tools.toolchain import build_cache, golang
from ostiary_tools.toolchain.recipe import OUTPUTS, Recipe, recipe

NAMES = tuple(OUTPUTS)


def ensure(*names: str) -> dict[str, Path]:
    """Return the paths of the programs `names` (by default all), built on first use.

    The first build takes minutes, with progress lines on stderr. All are built together, since they share most of
    their code. Parallel runs build only once.

    Raises:
        ToolError: an unknown name, or Go or its module proxy is missing.
    """
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise ToolError(f"unknown program {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    directory = build_cache.once(_directory(), what="building the control plane", make=_build)
    return {name: directory / name for name in names or NAMES}


def _recipe() -> Recipe:
    module = golang.MODULE_DIRECTORY
    return recipe(go_mod=(module / "go.mod").read_text(), go_sum=(module / "go.sum").read_text())


def _directory() -> Path:
    return build_cache.root() / "bin" / _recipe().key


def _build(target: Path) -> None:
    go, started = golang.ensure(), time.monotonic()
    say(f"Building the control plane ({', '.join(NAMES)}): once, usually 5 to 8 minutes on two cores")
    total = _fetch(go)
    _compile(go, target, total=total)
    for name, output in OUTPUTS.items():
        (target / output).rename(target / name)
    say(f"Built the control plane in {time.monotonic() - started:.0f} s")


def _fetch(go: Path) -> int:
    """Download the modules; return the number of packages to compile."""
    try:
        with reporting(lambda seconds: f"  fetching Go modules, {seconds:.0f} s so far"):
            return len(golang.run(go, "list", "-deps", "tool").splitlines())
    except CommandError as error:
        raise _failure("Go could not fetch the control plane's modules", error.stderr.splitlines()) from None


def _compile(go: Path, target: Path, *, total: int) -> None:
    lines: list[str] = []  # `go build -v` prints each compiled package, and the errors, to stderr
    command = [str(go), *_recipe().arguments, "-o", str(target), "tool"]
    where, environment = golang.MODULE_DIRECTORY, golang.environment()
    with (
        reporting(lambda seconds: f"  {len(lines)} of {total} packages after {seconds:.0f} s"),
        subprocess.Popen(command, cwd=where, env=environment, stderr=subprocess.PIPE, text=True) as process,
    ):
        lines.extend(process.stderr or ())
    if process.returncode:
        raise _failure("Go could not build the control plane", lines)


def _failure(what: str, lines: list[str]) -> ToolError:
    tail = "\n".join(f"  {line.rstrip()}" for line in lines[-12:])
    return ToolError(f"{what}. Is its module proxy (`go env GOPROXY`) reachable, the disk full?\n{tail}")


def main() -> int:
    """Print the path of each program; build all of them first if necessary."""
    return print_programs("python -m ostiary_tools.toolchain.binaries", main.__doc__, known=NAMES, ensure=ensure)


if __name__ == "__main__":
    sys.exit(main())
