"""Discovers gateways and their settings among Kubernetes objects, by pure functions.

The objects are from an API server or from files.

A Service labelled ``ostiary.dev/gateway: <name>`` is a gateway. The ConfigMap of the same namespace with that label and
``ostiary.dev/usage: settings`` holds its settings under the key ``settings.yaml``. Of two that claim the same, the
older one counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ostiary_operator.api import labels
from ostiary_operator.api.objects import ReadOnlyObject, name_or_empty, namespace_or_default, text_of
from ostiary_operator.compile.model import DiscoveredGateway

_Identity: TypeAlias = tuple[str, str]

#: The port of a Service that lists none for clients.
_DEFAULT_PORT: Final = 80


@dataclass(frozen=True, slots=True)
class IgnoredObject:
    """A Service or ConfigMap that claims a gateway and has no effect.

    ``gateway`` is the value of its label.
    """

    kind: str
    namespace: str
    name: str
    gateway: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """One line for a log."""
        return f"{self.kind} {self.namespace}/{self.name}: {self.problem}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Discovery:
    """The gateways, sorted by identity and age, and the objects that were ignored."""

    gateways: tuple[DiscoveredGateway, ...]
    ignored: tuple[IgnoredObject, ...]


def discover(services: Iterable[ReadOnlyObject], config_maps: Iterable[ReadOnlyObject]) -> Discovery:
    """Return the gateways that Services declare, with their settings.

    Services without the label are ignored. A label value that is no DNS label names no gateway: objects are named after
    it. Two Services may claim one name; both are returned, and :func:`elected` picks the gateway.
    """
    claiming = [service for service in services if labels.GATEWAY in labels.of(service)]
    named = [service for service in claiming if names_gateway(service)]
    settings, superseded = _settings(config_maps)
    found = [_gateway(service, settings.get(gateway_of(service))) for service in named]
    misnamed = [_misnamed("Service", service) for service in claiming if not names_gateway(service)]
    return Discovery(tuple(sorted(found, key=_seniority)), (*misnamed, *superseded))


def claimants(gateways: Iterable[DiscoveredGateway]) -> dict[str, list[DiscoveredGateway]]:
    """Return, by identity, the gateways that claim it; the first is the oldest and wins."""
    found: dict[str, list[DiscoveredGateway]] = {}
    for gateway in sorted(gateways, key=_seniority):
        found.setdefault(gateway.identity, []).append(gateway)
    return found


def elected(gateways: Iterable[DiscoveredGateway]) -> dict[str, DiscoveredGateway]:
    """Return, by identity, the gateway of each name: the one whose Service is oldest."""
    return {identity: oldest for identity, (oldest, *_) in claimants(gateways).items()}


def age(obj: ReadOnlyObject) -> tuple[str, str]:
    """Return the key that sorts the older object first: of two that claim the same, it counts."""
    return text_of(obj, "creationTimestamp"), name_or_empty(obj)


def gateway_of(obj: ReadOnlyObject) -> _Identity:
    """Return the namespace and name of the gateway that an object is of."""
    return namespace_or_default(obj), labels.of(obj).get(labels.GATEWAY, "")


def names_gateway(obj: ReadOnlyObject) -> bool:
    """Return whether an object's label names a gateway."""
    return labels.is_dns_label(gateway_of(obj)[1])


def is_settings(config_map: ReadOnlyObject) -> bool:
    """Return whether a ConfigMap holds settings of a gateway."""
    return labels.of(config_map).get(labels.USAGE) == labels.SETTINGS_USAGE


def settings_text(config_map: ReadOnlyObject) -> str | None:
    """Return the settings document that a ConfigMap holds; None where it has none."""
    data = config_map.get("data")
    text = data.get(labels.SETTINGS_KEY) if isinstance(data, Mapping) else None
    return text if isinstance(text, str) else None


def data_port(service: ReadOnlyObject) -> int | None:
    """Return the Service's port for clients: the first that is not for administration."""
    return next((port["port"] for port in _ports(service) if port.get("name") != labels.ADMIN_PORT), None)


def _ports(service: ReadOnlyObject) -> Iterator[Mapping[str, Any]]:
    spec = service.get("spec")
    ports = spec.get("ports") if isinstance(spec, Mapping) else None
    for port in ports if isinstance(ports, list) else ():
        if isinstance(port, Mapping) and isinstance(port.get("port"), int):
            yield port


def _gateway(service: ReadOnlyObject, settings: ReadOnlyObject | None) -> DiscoveredGateway:
    text = settings_text(settings) if settings is not None else None
    namespace, name = gateway_of(service)
    return DiscoveredGateway(
        namespace=namespace,
        name=name,
        service=name_or_empty(service),
        uid=text_of(service, "uid"),
        created=text_of(service, "creationTimestamp"),
        settings=text,
        settings_problem=_without_key(settings) if settings is not None and text is None else "",
        port=data_port(service) or _DEFAULT_PORT,
    )


def _without_key(config_map: ReadOnlyObject) -> str:
    """Return the problem of settings without their key.

    If the defaults took their place, what the settings close would be open.
    """
    namespace, name = namespace_or_default(config_map), name_or_empty(config_map)
    return f"ConfigMap {namespace}/{name} has no key {labels.SETTINGS_KEY}; add it, with the settings as its text"


def _settings(config_maps: Iterable[ReadOnlyObject]) -> tuple[dict[_Identity, ReadOnlyObject], list[IgnoredObject]]:
    """Return the ConfigMap with the settings of each gateway, and those that have no effect."""
    found: dict[_Identity, ReadOnlyObject] = {}
    ignored = []
    for config_map in sorted(filter(is_settings, config_maps), key=age):
        if not names_gateway(config_map):
            ignored.append(_misnamed("ConfigMap", config_map))
        elif found.setdefault(gateway_of(config_map), config_map) is not config_map:
            problem, remedy = "an older one has the settings of this gateway", "delete it, or take its labels away"
            ignored.append(_ignored("ConfigMap", config_map, problem, remedy))
    return found, ignored


def _misnamed(kind: str, obj: ReadOnlyObject) -> IgnoredObject:
    problem = f"its label {labels.GATEWAY} is {gateway_of(obj)[1]!r}, which is no DNS label and so names no gateway"
    return _ignored(kind, obj, problem, "use lower-case letters, digits and inner hyphens, such as default")


def _ignored(kind: str, obj: ReadOnlyObject, problem: str, remedy: str) -> IgnoredObject:
    namespace, gateway = gateway_of(obj)
    return IgnoredObject(kind, namespace, name_or_empty(obj), gateway, problem, remedy)


def _seniority(gateway: DiscoveredGateway) -> tuple[str, str, str, str]:
    return gateway.identity, gateway.created, gateway.service, gateway.uid
