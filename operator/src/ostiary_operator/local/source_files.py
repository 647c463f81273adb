"""The source files of ``ostiary run``.

A file that cannot be read keeps the objects of its last good version.

The compiler keeps the last good version of an object by its kind and name. A file that is no YAML, or an object without
kind or name, has no key to match: without this module its policies would be gone, and their proxies open.
"""

from collections.abc import Sequence
from pathlib import Path

from ostiary_operator.local import files, manifests
from ostiary_operator.local.manifests import ObjectManifest, Read, unreadable


class SourceFiles:
    """Reads the files that ``paths`` name. ``namespace`` is the default of their objects."""

    def __init__(self, paths: Sequence[Path], *, namespace: str) -> None:
        self.paths = paths
        self._namespace = namespace
        self._good: dict[str, list[ObjectManifest]] = {}

    def read(self) -> Read:
        """Return the objects (of unreadable files the last good ones) and the findings."""
        read = Read()
        for path in self.paths:
            try:
                found = files.find([path])
            except files.PathError as error:
                # A path that vanished may be a checkout in progress or a mistake: its objects stay until it is back.
                words = str(error).removeprefix(f"{path}: ")
                read.findings.append(unreadable(str(path), words, "restore it; what it held stays live until then"))
                found = [Path(name) for name in self._good if Path(name).is_relative_to(path)]
                read.manifests.extend(manifest for file in found for manifest in self._good[str(file)])
                continue
            self._forget(path, keep=found)
            for file in found:
                self._take(file, read)
        return read

    def _forget(self, path: Path, *, keep: Sequence[Path]) -> None:
        kept = {str(file) for file in keep}
        gone = [name for name in self._good if Path(name).is_relative_to(path) and name not in kept]
        for name in gone:
            del self._good[name]

    def _take(self, file: Path, read: Read) -> None:
        name, found = str(file), self._read(file)
        if found is None:
            return
        if not found.findings:
            self._good[name] = found.manifests
        read.findings.extend(found.findings)
        read.notes.extend(found.notes)
        read.manifests.extend(self._good.get(name, found.manifests))

    def _read(self, file: Path) -> Read | None:
        """Read one file; None if it was removed meanwhile."""
        try:
            return manifests.read_file(file, namespace=self._namespace)
        except files.PathError as error:
            if not file.exists():
                return None
            message = str(error).removeprefix(f"{file}: ")
            return Read(findings=[unreadable(str(file), message, "correct its permissions")])
