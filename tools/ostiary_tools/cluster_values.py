"""The chart's values for a local cluster."""

from collections.abc import Mapping
from typing import Any

from ostiary_tools.cluster_ports import Ports


def local(ports: Ports, further: Mapping[str, Any]) -> dict[str, Any]:
    """What a cluster on this machine needs, and over that `further`, of the same shape."""
    loopback = {"namespaces": ["*"], "addresses": ["127.0.0.0/8", "::1/128"]}
    settings = {"externalURL": f"http://localhost:{ports.data[0]}", "grants": [loopback]}
    return merged({"gatewayDefaults": {"replicas": len(ports.data), "settings": settings}}, further)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both have a mapping, those are merged, else `above` wins, as with helm's own values."""
    both = {
        key: merged(below[key], above[key]) for key in below.keys() & above.keys() if _are_mappings(below, above, key)
    }
    return {**below, **above, **both}


def _are_mappings(below: Mapping[str, Any], above: Mapping[str, Any], key: str) -> bool:
    return isinstance(below[key], Mapping) and isinstance(above[key], Mapping)


def namespaces(values: Mapping[str, Any]) -> list[str]:
    """The namespaces that the chart puts roles into, besides its own."""
    return sorted({*values.get("watchNamespaces", ()), *values.get("secretNamespaces", ())})
