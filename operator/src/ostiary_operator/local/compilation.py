"""``ostiary compile``: compiles YAML files into the config folder of a gateway."""

import asyncio
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from ostiary_core.contract import key_names
from ostiary_core.errors import ContractError, OstiaryError
from ostiary_operator.delivery.directory import ConfigDirectory
from ostiary_operator.delivery.volume import is_made_here
from ostiary_operator.local import files
from ostiary_operator.local.project import Project, ProjectState
from ostiary_operator.local.source_files import SourceFiles
from ostiary_operator.local.validation import GATEWAY

#: The external URL of a gateway whose settings have none.
_DEFAULT_URL: Final = "http://localhost:8080"


class OutUnusable(OstiaryError):
    """The folder cannot be written to; the message names it and the remedy."""


class Compiler:
    """Compiles the files that ``paths`` name into a folder, once or whenever they change.

    ``say`` gets each line of the report. Files with errors change nothing in the folder.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        out: Path,
        *,
        namespace: str,
        operator_namespace: str,
        say: Callable[[str], None],
    ) -> None:
        """Prepare the folder.

        Raises:
            OutUnusable: the folder holds foreign files, or cannot be written.
        """
        self._paths = paths
        self._out = out
        self._say = say
        self._sources = SourceFiles(paths, namespace=namespace)
        self._project = Project(operator_namespace=operator_namespace, base_url=_DEFAULT_URL)
        _require_ours(out)
        for folder in (out, out / key_names.FOLDER):
            _require_private(folder)
        try:
            self._directory = ConfigDirectory(out, gateway=f"{operator_namespace}/{GATEWAY}")
        except OSError as error:
            raise _unwritable(out, error) from error

    def compile(self) -> bool:
        """Compile once; return whether that succeeded. If not, the folder is unchanged.

        Raises:
            OutUnusable: the folder cannot be written.
        """
        read = self._sources.read()
        state = self._project.update(read)
        for line in (*read.notes, *map(str, (*state.findings, *state.ungoverned()))):
            self._say(line)
        if state.errors or state.config is None:
            self._say(f"{self._out} is unchanged: correct the errors above")
            return False
        try:
            before = self._directory.previous().manifest
            manifest = self._directory.write(state.config, state.credentials)
        except ContractError as error:
            self._say(f"{self._out} is unchanged: {error}")
            return False
        except OSError as error:
            raise _unwritable(self._out, error) from error
        what = "unchanged" if manifest == before else "written"
        self._say(f"{self._out}: revision {manifest.revision} {what}; {_counted(state)}")
        return True

    async def follow(self) -> None:
        """Compile now and whenever a file changes, and replace keys as they age, until cancelled.

        Raises:
            OutUnusable: the folder cannot be written at the start; later this is reported, and the next change retries.
        """
        seen = files.file_stamps(self._paths)
        await asyncio.to_thread(self.compile)
        renewing = asyncio.create_task(self._directory.renewing(), name="keys")
        try:
            async for _ in files.changes(partial(files.file_stamps, self._paths), seen):
                await asyncio.to_thread(self._compile_again)
        finally:
            renewing.cancel()

    def _compile_again(self) -> None:
        try:
            self.compile()
        except OutUnusable as error:
            self._say(str(error))


def _counted(state: ProjectState) -> str:
    entries, policies = (len(state.config.entries), len(state.config.policies)) if state.config else (0, 0)
    return f"MCPProxies: {entries}, MCPPolicies that govern them: {policies}"


def _require_ours(out: Path) -> None:
    """Refuse a folder with foreign files.

    Writing a config removes the files that it does not name.

    Raises:
        OutUnusable: it is not a folder, or neither empty nor one of our configs.
    """
    try:
        foreign = [each.name for each in out.iterdir() if not _is_ours(each)] if out.exists() else []
    except OSError as error:
        raise _unwritable(out, error) from error
    if foreign:
        raise OutUnusable(f"{out} holds something else ({sorted(foreign)[0]}): name a new folder")


def _is_ours(path: Path) -> bool:
    return is_made_here(path) or path.name == key_names.FOLDER


def _require_private(folder: Path) -> None:
    """Refuse a folder that other users may write.

    They could place keys that they know, or redirect what we remove.

    Raises:
        OutUnusable: another user owns it, others may write it, or its keys folder is a symbolic link.
    """
    try:
        found = folder.lstat() if folder.name == key_names.FOLDER else folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not stat.S_ISDIR(found.st_mode):
        raise OutUnusable(f"{folder} is no folder: name a new one")
    if found.st_uid != os.getuid():
        raise OutUnusable(f"{folder} belongs to another user: compile as that one, or name a new folder")
    if found.st_mode & 0o022:
        raise OutUnusable(f"{folder} may be written by others, who could place keys there: chmod go-w {folder}")


def _unwritable(out: Path, error: OSError) -> OutUnusable:
    return OutUnusable(f"{out} cannot be written: {error.strerror or error}")
