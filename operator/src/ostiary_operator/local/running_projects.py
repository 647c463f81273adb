"""The runs of ``ostiary run`` on this machine, for commands that read their admin port.

A run writes the address of its admin port into its state folder and removes it at its end. One that was killed leaves
the file behind, but not its lock.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_core.contract import key_names
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.delivery import secret
from ostiary_operator.delivery.volume import Volume
from ostiary_operator.local.project_state import LOCK, StateUnavailable, require_private, state_root

_FILE: Final = "admin.json"
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared with, not bound


@dataclass(frozen=True, slots=True)
class RunningProject:
    """One run: the files that it serves, its admin port, and the token of that.

    ``paths`` are as its user named them, in ``folder``.
    """

    paths: tuple[str, ...]
    folder: str
    url: str
    token: SecretBytes

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it serves, whatever folder they are read from."""
        return tuple(str(Path(self.folder, path)) for path in self.paths)

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"`ostiary run {' '.join(self.paths)}`"


@contextmanager
def published(folder: Path, *, paths: tuple[Path, ...], host: str, port: int) -> Iterator[RunningProject]:
    """Let commands find this run while the context lasts, if ``folder`` is its state folder.

    Yield it. Its keys are in the folder already.

    Raises:
        OSError: the folder cannot be written.
    """
    file = folder / _FILE
    shown = _WILDCARDS.get(host, f"[{host}]" if ":" in host else host)
    content = {"url": f"http://{shown}:{port}", "paths": [str(path) for path in paths], "folder": str(Path.cwd())}
    new = folder / f"{_FILE}.new"
    new.write_text(json.dumps(content), encoding="utf-8")
    new.replace(file)
    try:
        yield _project(folder, content)
    finally:
        file.unlink(missing_ok=True)


def running_projects(environ: Mapping[str, str] = os.environ) -> tuple[RunningProject, ...]:
    """Return the runs of this user on this machine."""
    try:
        root = state_root(environ)
        folders = sorted(each for each in root.iterdir() if each.is_dir()) if root.is_dir() else []
    except (OSError, StateUnavailable):
        return ()
    return tuple(found for folder in folders if (found := _read(folder)) is not None)


def _read(folder: Path) -> RunningProject | None:
    with suppress(OSError, ValueError, KeyError, TypeError, StateUnavailable):
        require_private(folder)
        if not _is_locked(folder):
            return None
        content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return _project(folder, content)
    return None


def _project(folder: Path, content: Mapping[str, Any]) -> RunningProject:
    """Return the run of a state folder.

    Raises:
        KeyError: something is missing.
        OSError: the keys cannot be read.
    """
    token = secret.parse(Volume(folder / key_names.FOLDER).files()).admin_token
    if token is None:
        raise KeyError(key_names.ADMIN_TOKEN)
    paths, where = tuple(map(str, content["paths"])), str(content.get("folder", ""))
    return RunningProject(paths, where, str(content["url"]), token)


def _is_locked(folder: Path) -> bool:
    """Return whether a run holds the lock of a folder."""
    lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
