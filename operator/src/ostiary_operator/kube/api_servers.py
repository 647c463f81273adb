"""Reads where the API server itself is: the addresses behind the Service ``kubernetes``, which no MCP server may have.

They stand in one EndpointSlice, which the API server keeps itself, in the namespace ``default``. The right to read it
is a Role of its own; without it the gateways refuse the address of the Service alone, which their Pods are told.
"""

import logging
from typing import Final

from ostiary_operator.api.labels import DEFAULT_NAMESPACE
from ostiary_operator.compile.objects import API_SERVER_SLICE, api_servers_from_slice
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import ENDPOINT_SLICE
from ostiary_operator.kube.services import OnSeen
from ostiary_operator.moved import EVERYTHING, ChangedNamespaces

_log = logging.getLogger(__name__)

_FORBIDDEN: Final = (
    "the addresses of the API server behind its Service cannot be read, so gateways refuse that of the Service alone; "
    "give the operator the chart's Role in the namespace default (rbac.apiServerEndpoints): %s"
)


def _ignore(*_: object) -> None:
    pass


class ApiServerReader:
    """Remembers the addresses: what cannot be read any more, or is gone for a moment, is refused as before."""

    def __init__(self, cluster: KubernetesClient, *, on_seen: OnSeen = _ignore) -> None:
        self._cluster = cluster
        self._on_seen = on_seen
        self._known: tuple[str, ...] | None = None
        self._told = False

    async def read(self, changed: ChangedNamespaces = EVERYTHING) -> tuple[str, ...]:
        """Return the addresses, sorted; none where they cannot be had.

        Raises:
            ClusterError: the API server could not be asked; that is no answer.
        """
        if self._known is None or changed.includes(DEFAULT_NAMESPACE):
            self._known = await self._read() or self._known or ()
        return self._known

    async def _read(self) -> tuple[str, ...]:
        try:
            found = await self._cluster.get(ENDPOINT_SLICE, namespace=DEFAULT_NAMESPACE, name=API_SERVER_SLICE)
        except NotFound:
            return ()
        except Forbidden as error:
            if not self._told:
                _log.warning(_FORBIDDEN, error)
            self._told = True
            return ()
        self._told = False
        self._on_seen(ENDPOINT_SLICE, found)
        return api_servers_from_slice(found)
