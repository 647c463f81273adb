"""Reads the addresses of the API server, which no MCP server may have.

They are the endpoints of the Service ``kubernetes``, in one EndpointSlice that the API server maintains in the
namespace ``default``. Reading it needs a Role of its own. Without that, gateways refuse only the address of the
Service, which they know from their Pod's environment.
"""

import logging
from typing import Final

from ostiary_operator.api.objects import DEFAULT_NAMESPACE
from ostiary_operator.compile.inputs import API_SERVER_SLICE, api_servers_from_slice
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import ENDPOINT_SLICE
from ostiary_operator.kube.reference_reader import OnSeen

_log = logging.getLogger(__name__)

_FORBIDDEN: Final = (
    "the endpoints of the API server cannot be read, so gateways refuse only the address of its Service; "
    "give the operator the chart's Role in the namespace default (rbac.apiServerEndpoints): %s"
)


def _ignore(*_: object) -> None:
    pass


class ApiServerReader:
    """Reads the addresses, and remembers the last known ones for when they cannot be read."""

    def __init__(self, cluster: KubernetesClient, *, on_seen: OnSeen = _ignore) -> None:
        self._cluster = cluster
        self._on_seen = on_seen
        self._known: tuple[str, ...] | None = None
        self._warned = False

    async def read(self, changed: ChangedNamespaces = EVERYTHING) -> tuple[str, ...]:
        """Return the addresses, sorted; none where they are not known.

        Raises:
            ClusterError: the request failed.
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
            if not self._warned:
                _log.warning(_FORBIDDEN, error)
            self._warned = True
            return ()
        self._warned = False
        self._on_seen(ENDPOINT_SLICE, found)
        return api_servers_from_slice(found)
