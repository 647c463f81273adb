"""One EndpointSlice as the API server sent it, read into what is needed of it.

A slice may be written by hand, by any controller: what is malformed in it is left out, and nothing is raised.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from ostiary_core.kubernetes_labels import SERVICE_NAME, SLICE_CONTROLLER, SLICE_MANAGER

_VERSIONS: Final = {"IPv4": 4, "IPv6": 6}
#: A slice holds at most this many endpoints (discovery.k8s.io/v1, EndpointSlice.endpoints).
_MOST_IN_SLICE: Final = 1000
#: The most ports of a slice (EndpointSlice.ports), and hints of an endpoint (EndpointHints.forZones).
_MOST_PORTS: Final = 100
_MOST_HINTS: Final = 8
#: No name in Kubernetes is longer (RFC 1123 subdomain), and no uid.
_LONGEST_NAME: Final = 253


ServiceKey: TypeAlias = tuple[str, str]
"""Namespace and name of a Service."""
SliceKey: TypeAlias = tuple[str, str]
"""Namespace and name of a slice."""


class SliceEndpoint(NamedTuple):
    """One endpoint of a slice.

    ``pod`` is the uid of its Pod, empty where it has none; ``zones`` and ``nodes`` are whose traffic it should get
    (``hints``). Conditions are as consumers must read them: absent ``ready`` is true.
    """

    address: str
    pod: str = ""
    pod_name: str = ""
    node: str = ""
    zone: str = ""
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    is_ready: bool = True
    is_serving: bool = True
    is_terminating: bool = False

    @property
    def is_draining(self) -> bool:
        """Whether it ends, but still answers the requests that it gets."""
        return self.is_terminating and (self.is_serving or self.is_ready)


class EndpointSlice(NamedTuple):
    """A slice: endpoints of one Service and one address family.

    ``ports`` are by name, ``""`` for the only one. ``is_managed`` where Kubernetes' own controller made it: its
    endpoints are the Pods that the Service selects. ``version`` orders the slices by their last change.
    """

    namespace: str
    name: str
    service: str
    is_managed: bool
    is_ipv6: bool
    version: int
    ports: Mapping[str, int]
    endpoints: tuple[SliceEndpoint, ...]

    @property
    def of(self) -> ServiceKey:
        """Its Service."""
        return self.namespace, self.service


def read_slice(found: Any) -> EndpointSlice | None:
    """Return what is needed of a slice.

    None where it names no Service, or has no addresses of IP.
    """
    if not isinstance(found, Mapping):
        return None
    metadata = _mapping(found.get("metadata"))
    tags = _mapping(metadata.get("labels"))
    name, service = _name(metadata.get("name")), _name(tags.get(SERVICE_NAME))
    family = found.get("addressType")
    version = _VERSIONS.get(family) if isinstance(family, str) else None
    if not name or not service or version is None:
        return None
    is_managed = tags.get(SLICE_MANAGER) == SLICE_CONTROLLER
    namespace = _name(metadata.get("namespace"))
    read = (_endpoint(each, version=version) for each in _items(found.get("endpoints"), most=_MOST_IN_SLICE))
    endpoints = tuple(each for each, of in read if each is not None and (not is_managed or of == namespace))
    return EndpointSlice(
        namespace=namespace,
        name=name,
        service=service,
        is_managed=is_managed,
        is_ipv6=version == 6,
        version=_number(metadata.get("resourceVersion")),
        ports=dict(_ports(found.get("ports"))),
        endpoints=endpoints,
    )


def slice_key(found: Any) -> SliceKey:
    """Return namespace and name of a slice, empty where it has none."""
    metadata = _mapping(found.get("metadata")) if isinstance(found, Mapping) else {}
    return _name(metadata.get("namespace")), _name(metadata.get("name"))


def _ports(found: Any) -> Iterator[tuple[str, int]]:
    """Yield the TCP ports by name.

    One without a number stands for every port, and leads nowhere.
    """
    for each in _items(found, most=_MOST_PORTS):
        port, name = _mapping(each), _mapping(each).get("name")
        number = port.get("port")
        if port.get("protocol", "TCP") not in ("TCP", None) or not (name is None or isinstance(name, str)):
            continue
        if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 65536:
            yield name or "", number


def _endpoint(found: Any, *, version: int) -> tuple[SliceEndpoint | None, Any]:
    """Return an endpoint, None without a usable address, and the namespace of its Pod.

    Consumers use its first address only (Endpoint.addresses).
    """
    each = _mapping(found)
    address = next((_address(text, version=version) for text in _items(each.get("addresses"), most=1)), "")
    if not address:
        return None, None
    target, hints = _mapping(each.get("targetRef")), _mapping(each.get("hints"))
    target = target if target.get("kind") == "Pod" else {}
    conditions = _mapping(each.get("conditions"))
    is_ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    read = SliceEndpoint(
        address=address,
        pod=_name(target.get("uid")),
        pod_name=_name(target.get("name")),
        node=_name(each.get("nodeName")),
        zone=_name(each.get("zone")),
        zones=_hinted(hints.get("forZones")),
        nodes=_hinted(hints.get("forNodes")),
        is_ready=is_ready,
        is_serving=serving if isinstance(serving, bool) else is_ready,
        is_terminating=conditions.get("terminating") is True,
    )
    return read, target.get("namespace")


def _address(text: Any, *, version: int) -> str:
    """Return an address in its usual form.

    It is empty where the text is no address of this version, or hides one of another.
    """
    if not isinstance(text, str) or len(text) > 45 or "%" in text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if address.version != version or (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None):
        return ""
    return str(address)


def _hinted(found: Any) -> tuple[str, ...]:
    names = (_name(_mapping(each).get("name")) for each in _items(found, most=_MOST_HINTS))
    return tuple(name for name in names if name)


def _name(found: Any) -> str:
    return found if isinstance(found, str) and len(found) <= _LONGEST_NAME else ""


def _number(found: Any) -> int:
    """Return a resource version as a number; it is one in every API server of Kubernetes."""
    return int(found) if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 20 else 0


def _mapping(found: Any) -> Mapping[Any, Any]:
    return found if isinstance(found, Mapping) else {}


def _items(found: Any, *, most: int) -> list[Any]:
    return found[:most] if isinstance(found, list) else []
