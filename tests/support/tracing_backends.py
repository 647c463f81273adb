"""Real backends of traces, in environments of their own, as the guide of recipes installs and starts them.

with backend("arize-phoenix", "20.26.1", command, ready=url):
    ...

Each is about 850 MB, so this is no part of `make test`: `make backends` names the folder for the environments.
"""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from timeouts import TIMEOUT_SECONDS

#: Names the folder with the environments; without it no backend is installed.
FOLDER = "OSTIARY_BACKENDS"
_START_SECONDS = 5 * TIMEOUT_SECONDS


def environment_of(package: str, version: str) -> Path:
    """Return the `bin` of an environment with this package, which is made if it is missing."""
    home = Path(os.environ[FOLDER]) / f"{package}-{version}"
    if not (home / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", f"{package}=={version}"], check=True)
        (home / "installed").touch()
    return home / "bin"


@contextlib.contextmanager
def backend(command: Sequence[str], *, folder: Path, ready: str, env: Mapping[str, str]) -> Iterator[None]:
    """Run a backend in a folder until the block ends; it has started once ``ready`` answers."""
    with (folder / "backend.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **env}, stdout=log, stderr=log)
        try:
            _wait_for(ready, process, folder / "backend.log")
            yield
        finally:
            process.terminate()
            try:
                process.wait(TIMEOUT_SECONDS)
            finally:
                process.kill()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):  # noqa: S310  of loopback
            return
        time.sleep(0.3)
    raise AssertionError(f"{url} does not answer: {log.read_text()}")
