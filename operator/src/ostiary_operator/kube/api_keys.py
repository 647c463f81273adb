"""Reads Secrets with API keys, and keeps their digests only."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final, TypeAlias

from ostiary_operator.api import labels
from ostiary_operator.compile.api_key_secrets import api_key_secrets
from ostiary_operator.compile.model import ApiKeySecret, Missing
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden
from ostiary_operator.kube.kinds import SECRET
from ostiary_operator.kube.reference_reader import OnSeen

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 16
_SELECTOR: Final = f"{labels.USAGE}={labels.API_KEY_USAGE}"

_Found: TypeAlias = tuple[ApiKeySecret, ...] | Missing


def _ignore(*_: object) -> None:
    pass


class ApiKeyReader:
    """Reads Secrets with API keys in the namespaces whose policies select them.

    It remembers their digests, so that only changed namespaces are read again.
    """

    def __init__(self, cluster: KubernetesClient, *, on_seen: OnSeen = _ignore) -> None:
        self._cluster = cluster
        self._on_seen = on_seen
        self._known: dict[str, _Found] = {}

    async def read(self, namespaces: Iterable[str], changed: ChangedNamespaces = EVERYTHING) -> dict[str, _Found]:
        """Return the Secrets of each namespace, or why they are not available.

        All other namespaces are forgotten.

        Raises:
            ClusterError: a request failed.
        """
        wanted = sorted(namespaces)
        turn = asyncio.Semaphore(_AT_ONCE)
        stale = [each for each in wanted if each not in self._known or changed.includes(each)]
        found = await asyncio.gather(*(self._read(each, turn) for each in stale))
        fresh = dict(zip(stale, found, strict=True))
        self._known = {each: fresh[each] if each in fresh else self._known[each] for each in wanted}
        return dict(self._known)

    async def _read(self, namespace: str, turn: asyncio.Semaphore) -> _Found:
        async with turn:
            try:
                listed = await self._cluster.list(SECRET, namespace=namespace, selector=_SELECTOR)
            except Forbidden as error:
                _log.debug("API keys in namespace %s are not read: %s", namespace, error)  # the policy's status says so
                return Missing.FORBIDDEN
        for secret in listed:
            self._on_seen(SECRET, secret)
        return api_key_secrets(listed)
