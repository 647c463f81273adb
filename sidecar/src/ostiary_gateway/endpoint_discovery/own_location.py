"""The zone and the node of this gateway, from the slices of its own Service.

The API has no simpler place for a zone that a Pod may read: nodes are not namespaced. A gateway stays where it started,
so its location is looked for until it is found, and never again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ostiary_core.kubernetes_labels import GATEWAY
from ostiary_gateway.config.kubernetes_client import KubernetesApi
from ostiary_gateway.config.watch_loop import WatchBackoff
from ostiary_gateway.endpoint_discovery.endpoint_slice import SliceEndpoint, read_slice
from ostiary_gateway.endpoint_discovery.service_endpoints import Location
from ostiary_gateway.errors import ConfigUnavailable
from ostiary_gateway.options import KubernetesOptions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnPod:
    """This gateway's Pod, as far as the environment names it; all are empty outside a Pod."""

    name: str = ""
    uid: str = ""
    address: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "OwnPod":
        """Return the Pod of the variables ``POD_NAME``, ``POD_UID`` and ``POD_IP``."""
        return cls(environ.get("POD_NAME", ""), environ.get("POD_UID", ""), environ.get("POD_IP", ""))

    @property
    def is_known(self) -> bool:
        """Whether the process runs in a Pod that it can be found by."""
        return bool(self.name or self.uid or self.address)

    def location(self) -> Location:
        """Return what is known without the API: the family of its address."""
        return Location(prefers_ipv6=":" in self.address)

    def is_at(self, endpoint: SliceEndpoint) -> bool:
        """Return whether an endpoint is this Pod."""
        if self.uid:
            return endpoint.pod == self.uid
        return endpoint.pod_name == self.name if self.name else endpoint.address == self.address


async def find_location(
    gateway: str, pod: OwnPod, options: KubernetesOptions, found: Callable[[Location], None]
) -> None:
    """Look for this Pod in the slices of its gateway's Service until it is there.

    ``found`` is told its location. ``gateway`` is ``namespace/name``.
    """
    backoff = WatchBackoff()
    while True:
        backoff.begin()
        try:
            endpoint = await _look_up(gateway, pod, options)
        except ConfigUnavailable as error:
            _log.debug("the zone of this gateway: %s", error)
        else:
            if endpoint is not None:
                found(pod.location()._replace(zone=endpoint.zone, node=endpoint.node))
                return
        await asyncio.sleep(backoff.delay())


async def _look_up(gateway: str, pod: OwnPod, options: KubernetesOptions) -> SliceEndpoint | None:
    namespace, _, name = gateway.partition("/")
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    async with KubernetesApi(options) as api:
        listed = await api.get(path, {"labelSelector": f"{GATEWAY}={name}"})
    items = listed.get("items")
    slices = map(read_slice, items if isinstance(items, list) else ())
    endpoints = (endpoint for each in slices if each is not None and each.is_managed for endpoint in each.endpoints)
    return next(filter(pod.is_at, endpoints), None)
