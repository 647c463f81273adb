"""Separate installations of the tested clients, created on first use."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.progress import say
from ostiary_tools.conformance import suite
from ostiary_tools.toolchain import build_cache, node

_TESTS: Final = Path(__file__).parents[3] / "tests"
DRIVERS: Final = _TESTS / "conformance" / "clients"
_INSPECTOR: Final = _TESTS / "conformance" / "inspector"
_TYPESCRIPT: Final = _TESTS / "clients" / "typescript"


def inspector() -> list[str]:
    """Return the command of the MCP Inspector, installed on first use."""
    launcher = node.install(_INSPECTOR) / "@modelcontextprotocol" / "inspector" / "clients" / "launcher"
    return [str(suite.executable()), str(launcher / "build" / "index.js")]


def virtual_environment(name: str) -> Path:
    """Return the Python of an environment with the packages of `clients/<name>.txt`."""
    lock = DRIVERS / f"{name}.txt"
    digest = hashlib.sha256(f"{sys.version}\n{lock.read_text()}".encode()).hexdigest()[:16]
    home = build_cache.root() / "clients" / f"{name}-{digest}"
    made = build_cache.once(home, what=f"installing {name}", make=lambda target: _make_environment(lock, target))
    return made / "bin" / "python"


def _make_environment(lock: Path, target: Path) -> None:
    say(f"Installing what {lock.name} locks into {build_cache.root()} (once; a minute or less)")
    _checked([sys.executable, "-m", "venv", "--without-pip", str(target)])
    pip = [sys.executable, "-m", "pip", "--python", str(target / "bin" / "python"), "install", "--quiet"]
    options = ["--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    _checked([*pip, *options, "-r", str(lock)])


def _checked(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(" ".join(command), done.returncode, done.stderr)


def typescript_driver() -> Path:
    """Return the driver, copied to the folder of the SDKs.

    Node resolves imports relative to the script.
    """
    lock = (_TYPESCRIPT / "package-lock.json").read_bytes()
    home = build_cache.root() / "typescript" / hashlib.sha256(lock).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        _copy(_TYPESCRIPT / name, home / name)
    node.install(home)
    driver = DRIVERS / "typescript.mjs"
    script = home / f"compatibility-{hashlib.sha256(driver.read_bytes()).hexdigest()[:16]}.mjs"
    _copy(driver, script)
    return script


def _copy(source: Path, target: Path) -> None:
    """Copy atomically: parallel runs must not see a partial file."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    partial = target.with_name(f"{target.name}.{os.getpid()}.{threading.get_ident()}")
    shutil.copyfile(source, partial)
    partial.replace(target)
