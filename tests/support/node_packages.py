"""Scripts of a Node package of the tests, next to its locked dependencies in the user's cache.

script = installed_script(TESTS / "clients" / "typescript", "session")
"""

import hashlib
import os
import shutil
from pathlib import Path

from ostiary_tools.toolchain import build_cache, node


def installed_package(package: Path) -> Path:
    """Return where the dependencies of a package directory are: installed once for each lock, in the user's cache."""
    home = build_cache.root() / package.name / _digest(package / "package-lock.json")
    home.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        _copy(package / file, home / file)
    node.install(home)
    return home


def installed_script(package: Path, name: str) -> Path:
    """Return `name.mjs` of a package directory, where Node can resolve its imports.

    Node resolves imports from the directory of a script, so the script is copied to the dependencies, named by its
    digest.
    """
    home = installed_package(package)
    script = home / f"{name}-{_digest(package / f'{name}.mjs')}.mjs"
    _copy(package / f"{name}.mjs", script)
    return script


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _copy(source: Path, target: Path) -> None:
    """Copy in one step, for several test runs may do it at once, and none may see half a file."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.copyfile(source, partial)
    partial.replace(target)
