"""The second way to a gateway: a directory with the semantics of a projected volume, for `ostiary run`.

    ..2026_11_21_08_00_00.000000001/    one version: manifest, parts and keys as files
    ..data -> ..2026_11_21_…            renamed into place: the one atomic step
    manifest.json -> ..data/manifest.json

Keys and revision live in the directory itself, so they outlast the process.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ostiary_core.contract import manifest_files
from ostiary_core.contract.bundle import GatewayConfig, fold_config, manifest_file
from ostiary_core.contract.manifest import Manifest
from ostiary_operator.delivery import plan, reader, secret
from ostiary_operator.delivery.reader import Delivered
from ostiary_operator.delivery.secret import Keys, RandomBytes
from ostiary_operator.delivery.secret_bytes import SecretBytes

_LINK: Final = "..data"
_NEXT_LINK: Final = "..data_tmp"


class ConfigDirectory:
    """Writes one gateway's config into a directory. Only one may write at a time.

    ``gateway`` is the identity; ``clock`` returns epoch seconds.
    """

    def __init__(
        self, path: Path, *, gateway: str, clock: Callable[[], float] = time.time, random: RandomBytes = os.urandom
    ) -> None:
        self._path = path
        self._gateway = gateway
        self._clock = clock
        self._random = random
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def previous(self) -> Delivered:
        """Read back what was written last, even by an earlier process.

        Raises:
            OSError: the directory cannot be read.
        """
        files = self._files()
        return reader.read(files, secret.parse(files).mac_keys(), gateway=self._gateway)

    def admin_token(self) -> SecretBytes | None:
        """Return the bearer of the gateway's admin port; None before the first config."""
        return secret.parse(self._files()).admin_token

    def write(self, config: GatewayConfig) -> Manifest:
        """Put a config in force, unless it is; return its manifest.

        Raises:
            ContractError: it is too large to travel.
            OSError: the directory cannot be written; what was in force still is.
        """
        now, files = self._clock(), self._files()
        found = secret.parse(files)
        max_age = config.settings.bounds.session_max_age / 1000
        keys = secret.renewed(found, now=now, session_max_age=max_age, random=self._random)
        current = reader.read_manifest(files, found.mac_keys(), gateway=self._gateway).manifest
        bundle = plan.stamped(fold_config(config), current, keys, now=now, floor=0)
        wanted = {**manifest_files.write(manifest_file(bundle)), **_revealed(keys)}
        for part in bundle.files:
            wanted.update(part)
        if wanted != files:
            self._swap(wanted)
        return bundle.manifest

    def _files(self) -> dict[str, bytes]:
        root = self._path / _LINK
        if not root.is_dir():
            return {}
        return {each.name: each.read_bytes() for each in root.iterdir() if each.is_file()}

    def _swap(self, files: Mapping[str, bytes]) -> None:
        """Do as the kubelet does: write a new version beside the old, rename the link, then tidy up."""
        old = self._path / (self._path / _LINK).readlink() if (self._path / _LINK).is_symlink() else None
        version = self._path / f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{time.time_ns() % 1_000_000_000:09d}"
        version.mkdir(mode=0o700)
        for name, content in files.items():
            _write_private(version / name, content)
        link = self._path / _NEXT_LINK
        link.unlink(missing_ok=True)
        link.symlink_to(version.name)
        link.replace(self._path / _LINK)
        self._show(files)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)

    def _show(self, files: Mapping[str, bytes]) -> None:
        """Make the visible links, and remove those that lead nowhere now."""
        for name in files:
            if not (self._path / name).is_symlink():
                (self._path / name).symlink_to(Path(_LINK) / name)
        for each in self._path.iterdir():
            if each.is_symlink() and not each.exists():
                each.unlink(missing_ok=True)


def _revealed(keys: Keys) -> dict[str, bytes]:
    return {name: value.reveal() for name, value in keys.entries().items()}


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)
