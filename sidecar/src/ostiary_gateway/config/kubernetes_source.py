"""Config from the Kubernetes API.

It watches the gateway's own ConfigMaps and Secret, each by name.

This is for speed only: the same bytes are in the mounted volume, which the kubelet updates within about a minute. It
needs ``get``, ``list`` and ``watch`` on exactly those names.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from ostiary_core.contract import parts
from ostiary_core.contract.bundle import open_manifest
from ostiary_core.contract.key_names import secret_name
from ostiary_core.errors import ContractError
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.kubernetes_client import KubernetesApi
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.config.watch_loop import repeat
from ostiary_gateway.errors import ConfigUnavailable
from ostiary_gateway.options import KubernetesOptions
from ostiary_gateway.threads import in_background

_log = logging.getLogger(__name__)

_KEYS_SECONDS: Final = 5.0


class KubernetesSource:
    """Watches the objects and offers their content to the store.

    ``gateway`` is ``namespace/name``.
    """

    def __init__(self, gateway: str, options: KubernetesOptions, store: ConfigStore) -> None:
        self._namespace, _, self._name = gateway.partition("/")
        self._options = options
        self._store = store
        self._manifest_files: dict[str, bytes] = {}
        self._parts: dict[int, tuple[str, dict[str, bytes]]] = {}
        self._secret_files: dict[str, bytes] = {}
        self._secret_seen = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled; retry after every fault, with back-off."""
        await repeat(self._connect, f"connecting to {self._options.api}")

    async def _connect(self) -> None:
        async with KubernetesApi(self._options) as api, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(api, "configmaps", parts.config_map_name(self._name, 0)))
            tasks.create_task(self._follow(api, "secrets", secret_name(self._name)))

    async def _follow(self, api: KubernetesApi, kind: str, name: str) -> None:
        await repeat(partial(self._watch, api, kind, name), f"watching {kind} {self._namespace}/{name}")

    async def _watch(self, api: KubernetesApi, kind: str, name: str) -> None:
        """Take the object as it is now, then each of its changes, until the watch ends."""
        path = f"/api/v1/namespaces/{self._namespace}/{kind}"
        query = {"fieldSelector": f"metadata.name={name}"}
        listed = await api.get(path, query)
        items = listed.get("items")
        for found in items if isinstance(items, list) else ():
            await self._take(api, kind, name, found)
        if kind == "secrets":
            self._secret_seen.set()
        version = (listed.get("metadata") or {}).get("resourceVersion", "")
        async for event, found in api.watch(path, {**query, "resourceVersion": version}):
            if event in ("ADDED", "MODIFIED"):
                await self._take(api, kind, name, found)
            elif event == "DELETED":
                _log.warning("%s %s/%s was deleted: the last good config stays", kind, self._namespace, name)

    async def _take(self, api: KubernetesApi, kind: str, name: str, found: Any) -> None:
        if not isinstance(found, dict) or (found.get("metadata") or {}).get("name") != name:
            return
        if kind == "secrets":
            self._secret_files = secret_files(found)
        else:
            self._manifest_files = config_map_files(found)
            await self._await_keys()
        await self._complete_parts(api)
        await self._offer()

    async def _await_keys(self) -> None:
        """Wait for the Secret first.

        Without its keys a config would be rejected with an error, and accepted a moment later.

        Only once, and with a time limit: where the Secret cannot be read here, its keys may be in the mounted volume.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_KEYS_SECONDS):
                await self._secret_seen.wait()
        self._secret_seen.set()

    async def _complete_parts(self, api: KubernetesApi) -> None:
        """Fetch the further parts that the manifest names and that are missing here.

        None is fetched for a forged manifest.
        """
        keys = {**self._store.keyring.mac, **Keyring.from_secret(self._secret_files).mac}
        try:
            manifest = await in_background(open_manifest, self._manifest_files, keys)
        except ContractError:
            return  # the store reports the reason
        digests = manifest.parts
        for number, wanted in enumerate(digests[1:], start=1):
            if self._parts.get(number, ("", {}))[0] != wanted:
                name = parts.config_map_name(self._name, number)
                path = f"/api/v1/namespaces/{self._namespace}/configmaps/{name}"
                files = config_map_files(await api.get(path, {}))
                # The documents in a part of another revision are used, and the part is fetched again next time.
                self._parts[number] = (await in_background(_digest_of, number, files), files)
        self._parts = {number: part for number, part in self._parts.items() if number < len(digests)}

    async def _offer(self) -> None:
        files = dict(self._manifest_files)
        for _, part in self._parts.values():
            files |= part
        await self._store.offer("kubernetes", files, Keyring.from_secret(self._secret_files))


def _digest_of(number: int, files: Mapping[str, bytes]) -> str:
    """Return the digest of a part's lines, or "" if the files are not a part."""
    for name in filter(files.__contains__, parts.file_names(number)):
        try:
            return parts.read(name, files[name], limit=parts.MAX_UNFOLDED_BYTES).digest
        except ContractError:
            return ""
    return ""


def config_map_files(found: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the data of a ConfigMap as files, like a mounted volume.

    Raises:
        ConfigUnavailable: it does not have the API's shape.
    """
    try:
        text = {name: value.encode() for name, value in (found.get("data") or {}).items()}
    except (AttributeError, UnicodeEncodeError):
        raise ConfigUnavailable("the data of a ConfigMap is not text") from None
    return text | _decoded(found.get("binaryData"))


def secret_files(found: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the data of a Secret as files.

    Raises:
        ConfigUnavailable: it does not have the API's shape.
    """
    return _decoded(found.get("data"))


def _decoded(values: Any) -> dict[str, bytes]:
    try:
        return {name: base64.b64decode(value, validate=True) for name, value in (values or {}).items()}
    except (AttributeError, TypeError, binascii.Error, ValueError):
        raise ConfigUnavailable("the data of an object is not base64") from None
