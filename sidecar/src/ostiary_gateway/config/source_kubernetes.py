"""Config from the Kubernetes API: the gateway's own ConfigMaps and Secret, each watched by its name.

For speed only: the same bytes lie in the mounted volume, where the kubelet brings them within a minute or so. Needs
``get``, ``list`` and ``watch`` on exactly those names, and nothing but aiohttp.
"""

import asyncio
import base64
import json
import logging
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp

from ostiary_core.contract.manifest import parse_manifest
from ostiary_core.contract.parts import MANIFEST_FILE
from ostiary_core.errors import ContractError
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.errors import ConfigUnavailable
from ostiary_gateway.options import KubernetesOptions

_log = logging.getLogger(__name__)

#: The server ends a watch after this many seconds; a little later we take silence for a dead connection.
_WATCH_SECONDS: Final = 300
_SILENCE_SECONDS: Final = 330
_BACKOFF: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
#: An object of the API is at most 1.5 MiB; a watch event wraps one.
_LINE_BYTES: Final = 4 * 1024 * 1024


class KubernetesSource:
    """Watches and offers what it sees to the store. ``gateway`` is ``namespace/name``."""

    def __init__(self, gateway: str, options: KubernetesOptions, store: ConfigStore) -> None:
        self._namespace, _, name = gateway.partition("/")
        self._base = f"ostiary-{name}"
        self._options = options
        self._store = store
        self._manifest_files: dict[str, bytes] = {}
        self._parts: dict[int, tuple[str, dict[str, bytes]]] = {}
        self._secret_files: dict[str, bytes] = {}
        self._api: _Api | None = None

    async def run(self) -> None:
        """Watch until cancelled; every fault is retried, more and more slowly."""
        async with _Api(self._options) as api:
            self._api = api
            await asyncio.gather(self._follow("configmaps", f"{self._base}-0"), self._follow("secrets", self._base))

    async def _follow(self, kind: str, name: str) -> None:
        failures = 0
        while True:
            try:
                async for found in self._object_versions(kind, name):
                    failures = 0
                    await self._take(kind, found)
            except ConfigUnavailable as error:
                delay = _BACKOFF[min(failures, len(_BACKOFF) - 1)] * random.uniform(0.5, 1.5)  # noqa: S311  jitter
                failures += 1
                _log.warning("watching %s %s/%s: %s; again in %.1f s", kind, self._namespace, name, error, delay)
                await asyncio.sleep(delay)

    async def _object_versions(self, kind: str, name: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the object as it is, then each of its changes, until the watch ends."""
        assert self._api is not None  # noqa: S101  run() made it
        path = f"/api/v1/namespaces/{self._namespace}/{kind}"
        query = {"fieldSelector": f"metadata.name={name}"}
        listed = await self._api.get(path, query)
        for found in listed.get("items") or ():
            yield found
        version = (listed.get("metadata") or {}).get("resourceVersion", "")
        watch = {**query, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_SECONDS)}
        async for event in self._api.watch(path, {**watch, "resourceVersion": version}):
            if event.get("type") == "ERROR":
                return  # expired: list again
            if event.get("type") in ("ADDED", "MODIFIED"):
                yield event["object"]

    async def _take(self, kind: str, found: dict[str, Any]) -> None:
        files = _files(found)
        if kind == "secrets":
            self._secret_files = files
        else:
            self._manifest_files = files
            await self._complete_parts()
        await self._offer()

    async def _complete_parts(self) -> None:
        """Fetch the further parts that the manifest names and that we do not hold yet."""
        assert self._api is not None  # noqa: S101  run() made it
        try:
            digests = parse_manifest(self._manifest_files.get(MANIFEST_FILE, b"")).parts
        except ContractError:
            return  # the store says so, with the reason
        for number, digest in enumerate(digests[1:], start=1):
            if self._parts.get(number, ("", {}))[0] != digest:
                path = f"/api/v1/namespaces/{self._namespace}/configmaps/{self._base}-{number}"
                self._parts[number] = (digest, _files(await self._api.get(path, {})))
        self._parts = {number: part for number, part in self._parts.items() if number < len(digests)}

    async def _offer(self) -> None:
        if not self._manifest_files:
            return
        files: Mapping[str, bytes] = self._manifest_files
        for _, part in self._parts.values():
            files = {**files, **part}
        await self._store.offer("kubernetes", files, Keyring.from_files(self._secret_files))


def _files(found: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the data of a ConfigMap or Secret as files, as a mounted volume would show them."""
    binary = found.get("data") if found.get("kind") == "Secret" or "type" in found else found.get("binaryData")
    text = {} if binary is found.get("data") else found.get("data")
    return {
        **{name: value.encode() for name, value in (text or {}).items()},
        **{name: base64.b64decode(value) for name, value in (binary or {}).items()},
    }


class _Api:
    """Just enough of a Kubernetes client: GET and watch, a token that rotates, one trusted authority."""

    def __init__(self, options: KubernetesOptions) -> None:
        self._options = options
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "_Api":
        try:
            context = ssl.create_default_context(cafile=str(self._options.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise ConfigUnavailable(f"{self._options.ca_file}: {error}") from error
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                base_url=self._options.api,
                connector=aiohttp.TCPConnector(ssl=context),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE_SECONDS),
                read_bufsize=_LINE_BYTES,
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _headers(self) -> dict[str, str]:
        """The token is read each time: the kubelet replaces it before it expires."""
        try:
            token = self._options.token_file.read_text().strip()
        except OSError as error:
            raise ConfigUnavailable(f"{self._options.token_file}: {error.strerror}") from error
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    async def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Read an object or a list."""
        try:
            async with asyncio.timeout(30), self._session.get(path, params=query, headers=self._headers()) as answer:
                _require_success(answer, path)
                found: dict[str, Any] = await answer.json()
                return found
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ConfigUnavailable(f"{type(error).__name__}: {error}") from error

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a watch until the server ends it."""
        try:
            async with self._session.get(path, params=query, headers=self._headers()) as answer:
                _require_success(answer, path)
                async for line in _lines(answer):
                    yield json.loads(line)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ConfigUnavailable(f"{type(error).__name__}: {error}") from error


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield whole lines, of any length up to the bound (the reader of aiohttp knows a smaller one)."""
    buffer = b""
    async for chunk in answer.content.iter_any():
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(buffer) > _LINE_BYTES:
            raise ConfigUnavailable("a watch event is larger than any object can be")


def _require_success(answer: aiohttp.ClientResponse, path: str) -> None:
    if answer.status == 403:
        words = f"403 for {path}: the gateway's Role must grant get, list and watch on this name"
        raise ConfigUnavailable(words)
    if answer.status >= 400:
        raise ConfigUnavailable(f"HTTP {answer.status} for {path}")
