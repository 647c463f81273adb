"""Reads the ConfigMaps and Secrets that resources refer to, and nothing else of any namespace."""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from ostiary_operator.compile.model import Missing, ReferenceKey
from ostiary_operator.kube import labels
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP, SECRET
from ostiary_operator.moved import EVERYTHING, ChangedNamespaces

_AT_ONCE: Final = 16
_PRIVATE_KEY: Final = re.compile("-----BEGIN [^-]*PRIVATE KEY-----")


_Found: TypeAlias = Mapping[str, str] | Missing


class ReferenceReader:
    """Remembers what was read, so that only what may have moved is read again."""

    def __init__(self, cluster: KubernetesClient) -> None:
        self._cluster = cluster
        self._known: dict[ReferenceKey, _Found] = {}

    async def resolve(
        self, wanted: Iterable[ReferenceKey], changed: ChangedNamespaces = EVERYTHING
    ) -> dict[ReferenceKey, _Found]:
        """Return the data of each object, or why it cannot be had. What nobody wants any more is forgotten.

        Raises:
            ClusterError: the API server could not be asked; that is no answer.
        """
        keys = sorted(wanted)
        turn = asyncio.Semaphore(_AT_ONCE)
        stale = [key for key in keys if key not in self._known or _is_among(key, changed)]
        found = await asyncio.gather(*(_read(self._cluster, key, turn) for key in stale))
        read = dict(zip(stale, found, strict=True))
        self._known = {key: read[key] if key in read else self._known[key] for key in keys}
        return dict(self._known)


def _is_among(key: ReferenceKey, changed: ChangedNamespaces) -> bool:
    return changed.namespaces is None or key.namespace in changed.namespaces


async def _read(cluster: KubernetesClient, key: ReferenceKey, turn: asyncio.Semaphore) -> _Found:
    kind = SECRET if key.kind == SECRET.name else CONFIG_MAP
    async with turn:
        try:
            obj = await cluster.get(kind, namespace=key.namespace, name=key.name)
        except NotFound:
            return Missing.NOT_FOUND
        except Forbidden:
            return Missing.FORBIDDEN
    return _usable_secret(obj) if kind == SECRET else dict(obj.get("data") or {})


def _usable_secret(secret: Mapping[str, Any]) -> Mapping[str, str] | Missing:
    """Return the text of a Secret that its owner meant for us. Our own Secrets are nobody's to refer to."""
    if labels.USAGE not in labels.of(secret) or labels.CONFIG in labels.of(secret):
        return Missing.NOT_LABELLED
    texts = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            texts[key] = _without_private_key(base64.b64decode(value).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue  # binary data is no certificate, and nothing else is referred to
    return texts


def _without_private_key(text: str) -> str:
    """Return a text; of one that holds a private key, only that: what is remembered should not be worth stealing."""
    found = _PRIVATE_KEY.search(text)
    return found[0] if found else text
