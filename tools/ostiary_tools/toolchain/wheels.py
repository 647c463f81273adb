"""Tools that come as Python wheels: Go, Node.js and uv, for machines that lack them.

They are installed into separate directories of the cache, never into `.venv`. pip installs them, with the user's index,
proxy and certificates; the lock files in `tools/wheels/` pin versions and hashes.
"""

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.progress import say
from ostiary_tools.toolchain import build_cache

LOCKS = Path(__file__).parents[2] / "wheels"


def install(name: str) -> Path:
    """Return the directory of the wheel in `tools/wheels/<name>.txt`, installed on first use.

    Raises:
        ToolError: pip could not install it.
    """
    lock = LOCKS / f"{name}.txt"
    key = hashlib.sha256(f"{platform.system()} {platform.machine()}\n{lock.read_text()}".encode()).hexdigest()
    directory = build_cache.root() / "wheels" / f"{name}-{key[:16]}"
    return build_cache.once(directory, what=f"installing {name}", make=lambda target: _install(lock, target))


def _install(lock: Path, target: Path) -> None:
    requirement = lock.read_text().split(maxsplit=1)[0]
    say(f"Installing {requirement} into {build_cache.root()} (once; a minute or less)")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--target", str(target)]
    done = subprocess.run([*pip, *options, "-r", str(lock)], check=False, capture_output=True, text=True)
    if done.returncode:
        message = f"pip could not install {requirement}. Is your package index reachable?"
        raise ToolError(f"{message}\n{done.stderr.strip()}")
