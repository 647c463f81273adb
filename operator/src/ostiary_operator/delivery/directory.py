"""Delivers a config for ``ostiary run``: two directories that act like projected volumes.

One contains manifest and parts, the other the keys, as ConfigMaps and Secret are mounted separately in a Pod. Keys and
revision are stored only there, so they survive a restart of the process.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from ostiary_core.contract import key_names
from ostiary_core.contract.bundle import GatewayConfig, fold_config
from ostiary_core.contract.manifest import Manifest
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.delivery import plan, reader, secret
from ostiary_operator.delivery.credentials import Credentials, needed, with_earlier
from ostiary_operator.delivery.reader import Delivered
from ostiary_operator.delivery.secret import Keys, RandomBytes
from ostiary_operator.delivery.volume import Volume

_log = logging.getLogger(__name__)

#: Seconds between checks for keys that are due for rotation, which is once a day.
_RENEWAL: Final = 600.0


class ConfigDirectory:
    """Writes one gateway's config into a directory, and its keys into another.

    A lock lets only one process write at a time. ``keys`` is the directory for the keys, None for the default folder
    inside the first. ``gateway`` is the identity; ``clock`` returns epoch seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        gateway: str,
        keys: Path | None = None,
        clock: Callable[[], float] = time.time,
        random: RandomBytes = os.urandom,
    ) -> None:
        self._config = Volume(path)
        self._keys = Volume(keys if keys is not None else path / key_names.FOLDER)
        self._gateway = gateway
        self._clock = clock
        self._random = random
        self._last: GatewayConfig | None = None
        self._credentials: Credentials = {}
        self._named: frozenset[str] | None = None
        self._turn = threading.Lock()

    def previous(self) -> Delivered:
        """Read back the last config that was written, even by an earlier process.

        Raises:
            OSError: the directory cannot be read.
        """
        return reader.read(self._config.files(), self._found().mac_keys(), gateway=self._gateway)

    def admin_token(self) -> SecretBytes | None:
        """Return the bearer of the gateway's admin port; None before the first config."""
        return self._found().admin_token

    def write(self, config: GatewayConfig, credentials: Credentials | None = None) -> Manifest:
        """Put a config in force, unless it already is; return its manifest.

        ``credentials`` are values from the files; those that the config names are written.

        Raises:
            ContractError: the config is too large.
            OSError: the directory cannot be written; the last config stays in force.
        """
        with self._turn:
            self._last, self._credentials = config, credentials or {}
            return self._write(config)

    async def renewing(self) -> None:
        """Write the last config again periodically, until cancelled, which rotates the keys."""
        while True:
            await asyncio.sleep(_RENEWAL)
            await asyncio.to_thread(self.renew)

    def renew(self) -> None:
        """Write the last config again, with rotated keys. An error is only logged."""
        try:
            with self._turn:
                if self._last is not None:
                    self._write(self._last)
        except OSError as error:
            _log.warning("the keys could not be rotated; this is tried again: %s", error)

    def _write(self, config: GatewayConfig) -> Manifest:
        """Write under the lock, since new keys and revision depend on those in the directory."""
        with self._config.locked():
            return self._write_locked(config)

    def _write_locked(self, config: GatewayConfig) -> Manifest:
        now, files, found = self._clock(), self._config.files(), self._found()
        max_age = config.settings.bounds.session_max_age / 1000
        keys = secret.renewed(found, now=now, session_max_age=max_age, random=self._random)
        current = reader.read_manifest(files, found.mac_keys(), gateway=self._gateway).manifest
        bundle = plan.stamped(fold_config(config), current, keys, now=now, floor=0)
        wanted = dict(bundle.head)
        for part in bundle.files:
            wanted.update(part)
        # First, so that a reader of the manifest finds its key, and a reader of the earlier one finds its credentials.
        self._keys.write(_revealed(self._with_credentials(keys, config.secrets(), found)))
        self._config.write(wanted)
        self._named = config.secrets()
        return bundle.manifest

    def _with_credentials(self, keys: Keys, names: frozenset[str], found: Keys) -> Keys:
        """Add the named credentials, and those of the config before."""
        wanted = needed(names, supplied=self._credentials, delivered=found.credentials)
        before = {
            name: value for name, value in found.credentials.items() if self._named is None or name in self._named
        }
        return replace(keys, credentials=with_earlier(wanted, before))

    def _found(self) -> Keys:
        return secret.parse(self._keys.files())


def _revealed(keys: Keys) -> dict[str, bytes]:
    return {name: value.reveal() for name, value in keys.entries().items()}
