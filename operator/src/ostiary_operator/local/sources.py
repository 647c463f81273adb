"""The files of ``ostiary run``, read again and again. A file that cannot be read keeps what it said before.

The compiler keeps the last good version of an object that it can name. A file that is no YAML, or an object that lost
its kind or name, names nothing: without this its policies would be gone, and the door open.
"""

from collections.abc import Sequence
from pathlib import Path

from ostiary_operator.local import files, validating
from ostiary_operator.local.manifests import Manifest, Read, unreadable


class SourceFiles:
    """Reads what ``paths`` mean. ``namespace`` is for objects that name none."""

    def __init__(self, paths: Sequence[Path], *, namespace: str) -> None:
        self.paths = paths
        self._namespace = namespace
        self._good: dict[str, list[Manifest]] = {}

    def read(self) -> Read:
        """Return the objects that count now, and what is wrong with the files."""
        read = Read()
        for path in self.paths:
            try:
                found = files.find([path])
            except files.PathError as error:
                # All of it gone at once is a checkout or a slip; what was there stays until something is there again.
                words = str(error).removeprefix(f"{path}: ")
                read.findings.append(unreadable(str(path), words, "bring it back; what it held stays live until then"))
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
        """Read one file; None where it went while we looked."""
        try:
            return validating.read_file(file, namespace=self._namespace)
        except files.PathError as error:
            if not file.exists():
                return None
            message = str(error).removeprefix(f"{file}: ")
            return Read(findings=[unreadable(str(file), message, "see who may read it")])
