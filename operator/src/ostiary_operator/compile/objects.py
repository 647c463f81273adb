"""Plain Kubernetes objects, from files or from an API server, to what the compiler takes.

A Service labelled ``ostiary.dev/gateway: <name>`` is a gateway. The ConfigMap of the same namespace with that label and
``ostiary.dev/usage: settings`` holds its settings under the key ``settings.yaml``. A Secret is usable only with the
label ``ostiary.dev/usage``, whatever its value.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ostiary_core.addresses import is_address
from ostiary_operator.api.problems import InvalidDocument, Problem
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.compile.model import (
    DiscoveredGateway,
    Missing,
    NamespaceServices,
    ReferenceKey,
    Resources,
    Service,
)
from ostiary_operator.compile.references import wanted
from ostiary_operator.compile.targets import NAMESPACE_LABEL

GATEWAY_LABEL: Final = "ostiary.dev/gateway"
USAGE_LABEL: Final = "ostiary.dev/usage"
SETTINGS_USAGE: Final = "settings"
SETTINGS_KEY: Final = "settings.yaml"

#: Where an object without a namespace lies; kubectl takes the same.
DEFAULT_NAMESPACE: Final = "default"

#: The port of a gateway's Service that is not for clients, by name.
_ADMIN_PORT: Final = "admin"
_READ: Final = frozenset({PROXY_KIND, POLICY_KIND, "Service", "EndpointSlice", "ConfigMap", "Secret", "Namespace"})

_EXTERNAL_NAME: Final = "ExternalName"
#: Set by Kubernetes on every EndpointSlice of a Service.
_SLICE_OF: Final = "kubernetes.io/service-name"
#: Who keeps an EndpointSlice. What Kubernetes' own controller did not find among the selected Pods, it takes out again.
SLICE_MANAGER: Final = "endpointslice.kubernetes.io/managed-by"
SLICE_CONTROLLER: Final = "endpointslice-controller.k8s.io"

#: The EndpointSlice that the API server keeps of itself, in the default namespace.
API_SERVER_SLICE: Final = "kubernetes"

Object = Mapping[str, Any]


class InvalidObject(InvalidDocument):
    """An object that is not even shaped like one of Kubernetes; ``problems`` says what to mend."""


def resources_from_objects(objects: Iterable[Object], operator_namespace: str) -> Resources:
    """Gather everything that a compilation reads; objects of other kinds are passed over, Lists are opened.

    Namespaces that objects lie in exist, whether or not there is a Namespace object. Of ConfigMaps and Secrets only
    those enter that a proxy refers to. A Service that is not among the objects may be elsewhere.

    Raises:
        InvalidObject: an object has no kind or name, or appears twice.
    """
    found: dict[str, list[Object]] = {kind: [] for kind in _READ}
    seen: set[tuple[str, str, str]] = set()
    for item in _opened(objects):
        kind, namespace, name = identity = _identity(item)
        if kind not in _READ:
            continue
        if identity in seen:
            where = f"{namespace}/{name}" if namespace else name
            raise InvalidObject(f"{kind} {where}", [Problem("metadata.name", "appears twice", "remove one of the two")])
        seen.add(identity)
        found[kind].append(item)
    return Resources(
        operator_namespace=operator_namespace,
        proxies=found[PROXY_KIND],
        policies=found[POLICY_KIND],
        gateways=gateways_from_objects(found["Service"], found["ConfigMap"]),
        namespaces=_namespaces(found["Namespace"], [namespace for kind, namespace, _ in seen if namespace]),
        references=references_from_objects([*found["ConfigMap"], *found["Secret"]], wanted=wanted(found[PROXY_KIND])),
        services=services_from_objects(found["Service"], found["EndpointSlice"], complete=False),
        api_servers=_api_servers(found["EndpointSlice"]),
    )


def gateways_from_objects(services: Iterable[Object], config_maps: Iterable[Object]) -> list[DiscoveredGateway]:
    """Return the gateways among Services, each with the text of its settings. Others are passed over."""
    settings: dict[tuple[str, str], str] = {}
    for item in sorted(config_maps, key=_age, reverse=True):  # of several, the oldest is written last and so counts
        label = _label(item, GATEWAY_LABEL)
        if label is not None and _label(item, USAGE_LABEL) == SETTINGS_USAGE:
            settings[_namespace(item), label] = _data(item).get(SETTINGS_KEY, "")
    return [
        _gateway(service, label, settings.get((_namespace(service), label)))
        for service in services
        if (label := _label(service, GATEWAY_LABEL)) is not None
    ]


def services_from_objects(
    services: Iterable[Object], slices: Iterable[Object], *, complete: bool = True
) -> dict[str, NamespaceServices]:
    """Return what Services and EndpointSlices say of where servers are, by namespace."""
    foreign: dict[tuple[str, str], list[str]] = {}
    for item in slices:
        if _label(item, SLICE_MANAGER) != SLICE_CONTROLLER:
            foreign.setdefault((_namespace(item), _label(item, _SLICE_OF) or ""), []).append(_name(item))
    found: dict[str, dict[str, Service]] = {}
    for item in services:
        namespace, name = _namespace(item), _name(item)
        found.setdefault(namespace, {})[name] = _service(item, tuple(sorted(foreign.get((namespace, name), ()))))
    return {namespace: NamespaceServices(each, complete=complete) for namespace, each in found.items()}


def api_servers_from_slice(item: Object) -> tuple[str, ...]:
    """Return the addresses in the EndpointSlice of the API server, sorted, whether or not they are ready."""
    endpoints = item.get("endpoints")
    found: set[str] = set()
    for endpoint in endpoints if isinstance(endpoints, list) else ():
        addresses = _mapping(endpoint).get("addresses")
        found.update(filter(is_address, addresses if isinstance(addresses, list) else ()))
    return tuple(sorted(found))


def _api_servers(slices: Iterable[Object]) -> tuple[str, ...]:
    own = (each for each in slices if (_namespace(each), _name(each)) == (DEFAULT_NAMESPACE, API_SERVER_SLICE))
    return next((api_servers_from_slice(each) for each in own), ())


def _service(item: Object, foreign_slices: tuple[str, ...]) -> Service:
    spec = _mapping(item.get("spec"))
    if spec.get("type") == _EXTERNAL_NAME:
        return Service(external_name=str(spec.get("externalName") or ""), has_selector=False)
    listed = spec.get("ports")
    ports = (_mapping(port).get("port") for port in (listed if isinstance(listed, list) else ()))
    return Service(
        # One without an address of its own is met at the ports of its Pods.
        ports=None if spec.get("clusterIP") == "None" else frozenset(port for port in ports if isinstance(port, int)),
        has_selector=bool(_mapping(spec.get("selector"))),
        foreign_slices=foreign_slices,
    )


def references_from_objects(
    objects: Iterable[Object], *, wanted: Iterable[ReferenceKey]
) -> Mapping[ReferenceKey, Mapping[str, str] | Missing]:
    """Return the data of the ConfigMaps and Secrets that are wanted, or why they cannot be had."""
    found = {ReferenceKey(str(item.get("kind")), _namespace(item), _name(item)): item for item in objects}
    return {key: _referenced(key, found.get(key)) for key in wanted}


def _referenced(key: ReferenceKey, item: Object | None) -> Mapping[str, str] | Missing:
    if item is None:
        return Missing.NOT_FOUND
    if key.kind != "Secret":
        return _data(item)
    return _decoded(item) if _label(item, USAGE_LABEL) is not None else Missing.NOT_LABELLED


def _gateway(service: Object, name: str, settings: str | None) -> DiscoveredGateway:
    metadata = _mapping(service.get("metadata"))
    return DiscoveredGateway(
        namespace=_namespace(service),
        name=name,
        service=_name(service),
        uid=str(metadata.get("uid") or ""),
        created=str(metadata.get("creationTimestamp") or ""),
        settings=settings,
        port=_port(service),
    )


def _port(service: Object) -> int:
    """Return the Service's port for clients: the first that is not for administration."""
    ports = _mapping(service.get("spec")).get("ports")
    listed = map(_mapping, ports if isinstance(ports, list) else ())
    port = next((port.get("port") for port in listed if port.get("name") != _ADMIN_PORT), None)
    return port if isinstance(port, int) else 80


def _namespaces(objects: Iterable[Object], occupied: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    labels = {name: {NAMESPACE_LABEL: name} for name in occupied}
    for item in objects:
        name = _name(item)
        labels[name] = {NAMESPACE_LABEL: name} | _strings(_mapping(item.get("metadata")).get("labels"))
    return labels


def _opened(objects: Iterable[Object]) -> Iterator[Object]:
    for item in objects:
        if not isinstance(item, Mapping):
            remedy = "write apiVersion, kind, metadata and spec"
            raise InvalidObject("document", [Problem("", "is not a Kubernetes object", remedy)])
        items = item.get("items")
        if str(item.get("kind", "")).endswith("List") and isinstance(items, list):
            yield from _opened(items)
        else:
            yield item


def _identity(item: Object) -> tuple[str, str, str]:
    kind = item.get("kind")
    if not isinstance(kind, str) or not kind:
        raise InvalidObject("document", [Problem("kind", "is required", "add it, such as kind: MCPProxy")])
    if kind in _READ and not _name(item):
        raise InvalidObject(f"{kind} without a name", [Problem("metadata.name", "is required", "add it")])
    return kind, "" if kind == "Namespace" else _namespace(item), _name(item)


def _age(item: Object) -> tuple[str, str]:
    return str(_mapping(item.get("metadata")).get("creationTimestamp") or ""), _name(item)


def _name(item: Object) -> str:
    name = _mapping(item.get("metadata")).get("name")
    return name if isinstance(name, str) else ""


def _namespace(item: Object) -> str:
    namespace = _mapping(item.get("metadata")).get("namespace")
    return namespace if isinstance(namespace, str) and namespace else DEFAULT_NAMESPACE


def _label(item: Object, key: str) -> str | None:
    return _strings(_mapping(item.get("metadata")).get("labels")).get(key)


def _data(item: Object) -> dict[str, str]:
    return _strings(item.get("data"))


def _decoded(item: Object) -> dict[str, str]:
    """Return a Secret's data as text; what is neither base64 nor text is no CA bundle and left out."""
    plain = {}
    for key, value in _strings(item.get("data")).items():
        try:
            plain[key] = base64.b64decode("".join(value.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return plain | _strings(item.get("stringData"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _strings(value: object) -> dict[str, str]:
    return {str(key): text for key, text in _mapping(value).items() if isinstance(text, str)}
