"""Reads the ConfigMaps and Secrets that resources refer to, and no others."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from ostiary_operator.compile.inputs import reference_data
from ostiary_operator.compile.model import Missing, ReferenceKey
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP, SECRET

_AT_ONCE: Final = 16


_Found: TypeAlias = Mapping[str, str] | Missing


class ReferenceReader:
    """Reads referenced objects; of unchanged namespaces it returns those it remembers."""

    def __init__(self, cluster: KubernetesClient) -> None:
        self._cluster = cluster
        self._known: dict[ReferenceKey, _Found] = {}

    async def resolve(
        self, wanted: Iterable[ReferenceKey], changed: ChangedNamespaces = EVERYTHING
    ) -> dict[ReferenceKey, _Found]:
        """Return the data of each object, or why it is not available; forget all others.

        Raises:
            ClusterError: a request failed.
        """
        keys = sorted(wanted)
        turn = asyncio.Semaphore(_AT_ONCE)
        stale = [key for key in keys if key not in self._known or changed.includes(key.namespace)]
        found = await asyncio.gather(*(_read(self._cluster, key, turn) for key in stale))
        read = dict(zip(stale, found, strict=True))
        self._known = {key: read[key] if key in read else self._known[key] for key in keys}
        return dict(self._known)


async def _read(cluster: KubernetesClient, key: ReferenceKey, turn: asyncio.Semaphore) -> _Found:
    kind = SECRET if key.kind == SECRET.name else CONFIG_MAP
    async with turn:
        try:
            obj = await cluster.get(kind, namespace=key.namespace, name=key.name)
        except NotFound:
            return Missing.NOT_FOUND
        except Forbidden:
            return Missing.FORBIDDEN
    return reference_data(key, obj)
