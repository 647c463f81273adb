"""Finds servers that tests start, such as Redis, or installs Debian's packages of them.

`python -m ostiary_tools.toolchain.debian [NAME…]` prints their paths. As root on Debian and its derivatives it installs
what is missing, without starting services; elsewhere it names the packages.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ostiary_tools.common.commands import print_programs
from ostiary_tools.common.errors import CommandError, ToolError
from ostiary_tools.common.progress import say
from ostiary_tools.toolchain import build_cache

# Each program, and the Debian package that holds it.
PACKAGES = {
    "redis-server": "redis-server",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "nginx": "nginx-light",
    "wrk": "wrk",
    "chromium": "chromium",
    "fish": "fish",
    "zsh": "zsh",
}
TESTED_WITH = ("redis-server", "prometheus", "promtool", "chromium", "fish", "zsh")
# Maintainer scripts ask this program before they start a service; 101 means "forbidden by policy".
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")
# Where servers lie, which is not on the PATH of every user.
SERVER_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin")
_OPTIONS = ("-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300")


def ensure(*names: str) -> dict[str, Path]:
    """Return the paths of the programs `names` (all of the tests), installed on first use.

    Raises:
        ToolError: an unknown name, or a program is missing and cannot be installed here.
    """
    wanted = names or TESTED_WITH
    unknown = sorted(set(wanted) - set(PACKAGES))
    if unknown:
        raise ToolError(f"unknown program {', '.join(unknown)}; there are: {', '.join(PACKAGES)}")
    if missing_packages(wanted):
        with build_cache.locked(build_cache.root() / "locks" / "apt-get", waiting_for="apt-get install"):
            install(missing_packages(wanted))  # asked again: another run may have installed them while we waited
    return {name: _found(name) for name in wanted}


def missing_packages(names: Iterable[str]) -> list[str]:
    """Return the packages of those programs that are not on PATH, sorted."""
    return sorted({PACKAGES[name] for name in names if find(name) is None})


def find(name: str) -> Path | None:
    """Return the path of a program on PATH or where servers lie; None if there is none."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SERVER_DIRECTORIES))
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def install(packages: list[str]) -> None:
    """Install `packages` with apt-get; none of their services is started.

    Raises:
        ToolError: we are not root, there is no apt-get, or it failed.
    """
    if not packages:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ToolError(
            f"tests need the Debian package{'s' * (len(packages) > 1)} {', '.join(packages)}: install with "
            f"`sudo apt-get install {' '.join(packages)}`, or put their programs on PATH"
        )
    say(f"Installing {', '.join(packages)} with apt-get (once; a minute or less)")
    with services_forbidden(SERVICE_POLICY):
        _apt_get("update", "-q")
        _apt_get("install", *_OPTIONS, *packages)


@contextlib.contextmanager
def services_forbidden(policy: Path) -> Iterator[None]:
    """Forbid maintainer scripts to start services while the block runs.

    A policy that the machine's owner wrote stays.
    """
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    try:
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink(missing_ok=True)


def _apt_get(*arguments: str) -> None:
    command = ("apt-get", *arguments)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise CommandError(" ".join(command), done.returncode, done.stderr)


def _found(name: str) -> Path:
    path = find(name)
    if path is None:
        raise ToolError(f"package {PACKAGES[name]} is installed, but {name} is not on PATH")
    return path


def main() -> int:
    """Print the path of each program; install the packages of those that are missing first."""
    return print_programs("python -m ostiary_tools.toolchain.debian", main.__doc__, known=PACKAGES, ensure=ensure)


if __name__ == "__main__":
    sys.exit(main())
