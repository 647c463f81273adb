"""The chart's values for a local cluster."""

from collections.abc import Mapping
from typing import Any

from ostiary_tools.cluster.ports import Ports


def local(ports: Ports, further: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a cluster on this machine, overridden by `further`."""
    loopback = {"namespaces": ["*"], "addresses": ["127.0.0.0/8", "::1/128"]}
    settings = {"externalURL": f"http://localhost:{ports.data[0]}", "grants": [loopback]}
    return merged({"gatewayDefaults": {"replicas": len(ports.data), "settings": settings}}, further)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two sets of values merged as helm does: mappings are merged, else `above` wins."""
    both = {
        key: merged(below[key], above[key]) for key in below.keys() & above.keys() if _are_mappings(below, above, key)
    }
    return {**below, **above, **both}


def _are_mappings(below: Mapping[str, Any], above: Mapping[str, Any], key: str) -> bool:
    return isinstance(below[key], Mapping) and isinstance(above[key], Mapping)


def namespaces(values: Mapping[str, Any]) -> list[str]:
    """Return the namespaces in which the chart creates roles, besides its own."""
    return sorted({*values.get("watchNamespaces", ()), *values.get("secretNamespaces", ())})
