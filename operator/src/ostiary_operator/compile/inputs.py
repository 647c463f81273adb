"""Converts plain Kubernetes objects, from files or an API, into the compiler's input.

A Secret is usable only with the label ``ostiary.dev/usage``, whatever its value, and never if the operator made it.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ostiary_core.addresses import is_address
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api import labels
from ostiary_operator.api.objects import (
    DEFAULT_NAMESPACE,
    ReadOnlyObject,
    mapping_of,
    name_or_empty,
    namespace_or_default,
    texts_of,
)
from ostiary_operator.api.problems import InvalidDocument, Problem
from ostiary_operator.api.resources import LOCK_KIND, POLICY_KIND, PROXY_KIND
from ostiary_operator.api.server_kinds import BUILT_IN
from ostiary_operator.compile.api_key_secrets import api_key_secrets
from ostiary_operator.compile.authentication_methods import namespaces_with_api_keys
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credential_secrets import read_credentials
from ostiary_operator.compile.foreign_servers import GRANT_GROUP, GRANT_KIND, grants_from_objects, servers_from_objects
from ostiary_operator.compile.gateways import discover
from ostiary_operator.compile.model import ApiKeySecret, Missing, NamespaceServices, ReferenceKey, Resources, Service
from ostiary_operator.compile.references import wanted, wanted_credentials

_READ: Final = frozenset(
    {PROXY_KIND, POLICY_KIND, LOCK_KIND, "Service", "EndpointSlice", "ConfigMap", "Secret", "Namespace"}
)

_PRIVATE_KEY: Final = re.compile("-----BEGIN [^-]*PRIVATE KEY-----")
_EXTERNAL_NAME: Final = "ExternalName"
#: The EndpointSlice that the API server keeps of itself, in the default namespace.
API_SERVER_SLICE: Final = "kubernetes"


class InvalidObject(InvalidDocument):
    """An object has not the shape of a Kubernetes object; ``problems`` lists the faults."""


def resources_from_objects(objects: Iterable[ReadOnlyObject], operator_namespace: str) -> Resources:
    """Gather everything that a compilation reads.

    Objects of other kinds are ignored, and a List counts as its items. A namespace exists if it has a Namespace object
    or any other object is in it. Only ConfigMaps and Secrets that a resource refers to are included. A Service that is
    not among the objects may exist elsewhere.

    Raises:
        InvalidObject: an object has no kind or name, or appears twice.
    """
    items = list(_opened(objects))
    found: dict[str, list[ReadOnlyObject]] = {kind: [] for kind in _READ}
    seen: set[tuple[str, str, str]] = set()
    for item in items:
        kind, namespace, name = identity = _identity(item)
        if kind not in _READ:
            continue
        if identity in seen:
            where = f"{namespace}/{name}" if namespace else name
            raise InvalidObject(f"{kind} {where}", [Problem("metadata.name", "appears twice", "remove one of the two")])
        seen.add(identity)
        found[kind].append(item)
    gateways = discover(found["Service"], found["ConfigMap"]).gateways
    of_resources = found[PROXY_KIND], found[POLICY_KIND]
    memory = Cache()  # each resource is read once, whatever asks for what it refers to
    credentials = read_credentials(found["Secret"], wanted=wanted_credentials(*of_resources, memory, gateways=gateways))
    return Resources(
        operator_namespace=operator_namespace,
        proxies=found[PROXY_KIND],
        policies=found[POLICY_KIND],
        locks=found[LOCK_KIND],
        gateways=gateways,
        namespaces=_namespaces(found["Namespace"], [namespace for kind, namespace, _ in seen if namespace]),
        references=references_from_objects(
            [*found["ConfigMap"], *found["Secret"]], wanted=wanted(*of_resources, memory, gateways=gateways)
        ),
        credentials=credentials.secrets,
        services=services_from_objects(found["Service"], found["EndpointSlice"], complete=False),
        api_servers=_api_servers(found["EndpointSlice"]),
        api_keys=_api_keys(found["Secret"], namespaces_with_api_keys(found[POLICY_KIND], memory)),
        servers=servers_from_objects(items, BUILT_IN),
        reference_grants=grants_from_objects(item for item in items if _is_reference_grant(item)),
    )


def credential_values(objects: Iterable[ReadOnlyObject], wanted: Iterable[ReferenceKey]) -> Mapping[str, SecretBytes]:
    """Return the values of the wanted Secrets among the objects, by name, for delivery."""
    secrets = (item for item in _opened(objects) if item.get("kind") == "Secret")
    return read_credentials(secrets, wanted=wanted).values


def services_from_objects(
    services: Iterable[ReadOnlyObject], slices: Iterable[ReadOnlyObject], *, complete: bool = True
) -> dict[str, NamespaceServices]:
    """Return where servers are according to Services and EndpointSlices, by namespace."""
    foreign: dict[tuple[str, str], list[str]] = {}
    for item in slices:
        if labels.of(item).get(labels.SLICE_MANAGER) != labels.SLICE_CONTROLLER:
            owner = labels.of(item).get(labels.SERVICE_NAME, "")
            foreign.setdefault((namespace_or_default(item), owner), []).append(name_or_empty(item))
    found: dict[str, dict[str, Service]] = {}
    for item in services:
        namespace, name = namespace_or_default(item), name_or_empty(item)
        found.setdefault(namespace, {})[name] = _service(item, tuple(sorted(foreign.get((namespace, name), ()))))
    return {namespace: NamespaceServices(each, complete=complete) for namespace, each in found.items()}


def api_servers_from_slice(item: ReadOnlyObject) -> tuple[str, ...]:
    """Return the addresses of the API server's EndpointSlice, sorted, ready or not."""
    endpoints = item.get("endpoints")
    found: set[str] = set()
    for endpoint in endpoints if isinstance(endpoints, list) else ():
        addresses = mapping_of(endpoint).get("addresses")
        found.update(filter(is_address, addresses if isinstance(addresses, list) else ()))
    return tuple(sorted(found))


def _api_keys(
    secrets: Iterable[ReadOnlyObject], namespaces: Iterable[str]
) -> dict[str, tuple[ApiKeySecret, ...] | Missing]:
    found: dict[str, list[ReadOnlyObject]] = {namespace: [] for namespace in namespaces}
    for item in secrets:
        if namespace_or_default(item) in found:
            found[namespace_or_default(item)].append(item)
    return {namespace: api_key_secrets(items) for namespace, items in found.items()}


def _api_servers(slices: Iterable[ReadOnlyObject]) -> tuple[str, ...]:
    own = DEFAULT_NAMESPACE, API_SERVER_SLICE
    return next(
        (api_servers_from_slice(each) for each in slices if (namespace_or_default(each), name_or_empty(each)) == own),
        (),
    )


def _service(item: ReadOnlyObject, foreign_slices: tuple[str, ...]) -> Service:
    spec = mapping_of(item.get("spec"))
    if spec.get("type") == _EXTERNAL_NAME:
        return Service(external_name=str(spec.get("externalName") or ""), has_selector=False)
    listed = spec.get("ports")
    ports = [mapping_of(port) for port in (listed if isinstance(listed, list) else ())]
    is_headless = spec.get("clusterIP") == "None"
    numbers = (port.get("port") for port in ports)
    return Service(
        # A headless Service is reached at the ports of its Pods.
        ports=None if is_headless else frozenset(number for number in numbers if isinstance(number, int)),
        port_names=tuple(_port_names(ports, is_headless=is_headless)),
        has_selector=bool(mapping_of(spec.get("selector"))),
        foreign_slices=foreign_slices,
    )


def _port_names(ports: Iterable[ReadOnlyObject], *, is_headless: bool) -> Iterator[tuple[int, str]]:
    """Yield number and name of each TCP port, by which EndpointSlices name it.

    The name of a headless Service is reached at the ports of its Pods: where that is another number, what users wrote
    is not the port of the Service.
    """
    for port in ports:
        number, name = port.get("port"), port.get("name") or ""
        is_same = not is_headless or port.get("targetPort") in (None, number)
        is_named = not name or (isinstance(name, str) and labels.is_dns_label(name))
        if isinstance(number, int) and is_named and is_same and port.get("protocol") in (None, "TCP"):
            yield number, name


def references_from_objects(
    objects: Iterable[ReadOnlyObject], *, wanted: Iterable[ReferenceKey]
) -> Mapping[ReferenceKey, Mapping[str, str] | Missing]:
    """Return the data of the ConfigMaps and Secrets that are wanted, or why they cannot be had."""
    found = {
        ReferenceKey(str(item.get("kind")), namespace_or_default(item), name_or_empty(item)): item for item in objects
    }
    return {key: reference_data(key, found[key]) if key in found else Missing.NOT_FOUND for key in wanted}


def reference_data(key: ReferenceKey, item: ReadOnlyObject) -> Mapping[str, str] | Missing:
    """Return the texts of a ConfigMap or Secret, or why resources may not refer to it.

    A Secret needs the label by which its owner permits it. Resources never refer to the operator's own Secrets.
    """
    if key.kind != "Secret":
        return texts_of(item.get("data"))
    if labels.USAGE not in labels.of(item) or labels.CONFIG in labels.of(item):
        return Missing.NOT_LABELLED
    if labels.of(item)[labels.USAGE] == labels.API_KEY_USAGE:
        return Missing.API_KEYS
    return {name: _without_private_key(text) for name, text in _decoded(item).items()}


def _is_reference_grant(item: ReadOnlyObject) -> bool:
    return item.get("kind") == GRANT_KIND and str(item.get("apiVersion")).startswith(f"{GRANT_GROUP}/")


def _namespaces(objects: Iterable[ReadOnlyObject], occupied: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    found = {name: {labels.NAMESPACE_NAME: name} for name in occupied}
    for item in objects:
        name = name_or_empty(item)
        found[name] = {labels.NAMESPACE_NAME: name, **labels.of(item)}
    return found


def _opened(objects: Iterable[ReadOnlyObject]) -> Iterator[ReadOnlyObject]:
    for item in objects:
        if not isinstance(item, Mapping):
            remedy = "write apiVersion, kind, metadata and spec"
            raise InvalidObject("document", [Problem("", "is not a Kubernetes object", remedy)])
        items = item.get("items")
        if str(item.get("kind", "")).endswith("List") and isinstance(items, list):
            yield from _opened(items)
        else:
            yield item


def _identity(item: ReadOnlyObject) -> tuple[str, str, str]:
    kind = item.get("kind")
    if not isinstance(kind, str) or not kind:
        raise InvalidObject("document", [Problem("kind", "is required", "add it, such as kind: MCPProxy")])
    if kind in _READ and not name_or_empty(item):
        raise InvalidObject(f"{kind} without a name", [Problem("metadata.name", "is required", "add it")])
    return kind, "" if kind == "Namespace" else namespace_or_default(item), name_or_empty(item)


def _decoded(item: ReadOnlyObject) -> dict[str, str]:
    """Return a Secret's data as text.

    A value that is not base64, or not text, is no CA bundle and is dropped.
    """
    plain = {}
    for key, value in texts_of(item.get("data")).items():
        try:
            plain[key] = base64.b64decode("".join(value.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return plain | texts_of(item.get("stringData"))


def _without_private_key(text: str) -> str:
    """Return a text; of one with a private key, only the key's first line.

    The operator must not keep private keys.
    """
    found = _PRIVATE_KEY.search(text)
    return found[0] if found else text
