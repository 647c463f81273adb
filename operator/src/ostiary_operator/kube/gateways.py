"""Which gateways there are: Services that say so, and the settings beside them. Pure."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.kube import labels
from ostiary_operator.kube.client import Object, name_of, namespace_of, uid_of

_log = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def discover(services: Iterable[Object], config_maps: Iterable[Object]) -> tuple[DiscoveredGateway, ...]:
    """Return the gateways that Services declare, with their settings, sorted by identity and age.

    A name that is no DNS label is no gateway: objects are named after it. Two Services may claim one name; both are
    returned, and the older one is the gateway.
    """
    settings = _settings_texts(config_maps)
    found = []
    for service in services:
        name = labels.of(service).get(labels.GATEWAY, "")
        if not _NAME.fullmatch(name):
            _log.warning(
                "Service %s/%s: its label %s is %r; a gateway's name is a DNS label, so this is none",
                *(namespace_of(service), name_of(service), labels.GATEWAY, name),
            )
            continue
        namespace = namespace_of(service)
        found.append(
            DiscoveredGateway(
                namespace=namespace,
                name=name,
                service=name_of(service),
                uid=uid_of(service),
                created=service["metadata"].get("creationTimestamp", ""),
                settings=settings.get((namespace, name)),
                port=_data_port(service),
            )
        )
    return tuple(sorted(found, key=_seniority))


def _data_port(service: Mapping[str, Any]) -> int:
    """Return the Service's port for clients: the first that is not for administration."""
    ports = [port for port in service.get("spec", {}).get("ports") or () if port.get("name") != labels.ADMIN_PORT]
    return int(ports[0]["port"]) if ports else 80


def elected(gateways: Sequence[DiscoveredGateway]) -> dict[str, DiscoveredGateway]:
    """Return, by identity, the gateway of each name: the one whose Service is oldest."""
    chosen: dict[str, DiscoveredGateway] = {}
    for gateway in sorted(gateways, key=_seniority):
        chosen.setdefault(gateway.identity, gateway)
    return chosen


def _seniority(gateway: DiscoveredGateway) -> tuple[str, str, str]:
    return gateway.identity, gateway.created, gateway.service


def _settings_texts(config_maps: Iterable[Object]) -> dict[tuple[str, str], str]:
    """Return the settings by (namespace, gateway); of two ConfigMaps for one gateway the older counts."""
    texts: dict[tuple[str, str], str] = {}
    for config_map in sorted(config_maps, key=age):
        if labels.of(config_map).get(labels.USAGE) != labels.SETTINGS_USAGE:
            continue
        key = namespace_of(config_map), labels.of(config_map).get(labels.GATEWAY, "")
        if key in texts:
            _log.warning(
                "ConfigMap %s/%s: an older one already holds the settings of this gateway", key[0], name_of(config_map)
            )
            continue
        texts[key] = _text(config_map)
    return texts


def age(obj: Mapping[str, Any]) -> tuple[str, str]:
    """Return what puts the older object first: of two that claim the same it counts."""
    return obj["metadata"].get("creationTimestamp", ""), name_of(obj)


def _text(config_map: Mapping[str, Any]) -> str:
    """Return the document; without its key a text that is no valid one, so that defaults never slip in."""
    missing = f"ConfigMap {name_of(config_map)} has no key {labels.SETTINGS_KEY}"
    text: str = (config_map.get("data") or {}).get(labels.SETTINGS_KEY, missing)
    return text
