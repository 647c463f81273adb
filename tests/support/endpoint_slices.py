"""EndpointSlices as an API server sends them."""

from collections.abc import Mapping, Sequence
from typing import Any

NAMESPACE = "team"
CONTROLLER = "endpointslice-controller.k8s.io"


def endpoint(
    address: str,
    *,
    pod: str = "",
    pod_name: str = "",
    node: str = "",
    zone: str = "",
    zones: Sequence[str] = (),
    nodes: Sequence[str] = (),
    namespace: str = NAMESPACE,
    **conditions: bool | None,
) -> dict[str, Any]:
    """One endpoint: a Pod with this uid, by default named after its address."""
    named = {"kind": "Pod", "namespace": namespace, "name": pod_name or f"pod-{address}", "uid": pod or address}
    found: dict[str, Any] = {"addresses": [address], "conditions": conditions, "targetRef": named}
    hints = {"forZones": [{"name": each} for each in zones], "forNodes": [{"name": each} for each in nodes]}
    hints = {name: value for name, value in hints.items() if value}
    return found | {name: value for name, value in {"nodeName": node, "zone": zone, "hints": hints}.items() if value}


def endpoint_slice(
    name: str,
    endpoints: Sequence[Mapping[str, Any]],
    *,
    service: str = "crm",
    ports: Mapping[str, int] | None = None,
    family: str = "IPv4",
    version: str = "1",
    managed_by: str = CONTROLLER,
    namespace: str = NAMESPACE,
) -> dict[str, Any]:
    """One slice of a Service, as Kubernetes' own controller writes it."""
    tags = {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": managed_by}
    numbered = {"http": 8080} if ports is None else ports
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": tags, "resourceVersion": version},
        "addressType": family,
        "ports": [{"name": each, "protocol": "TCP", "port": number} for each, number in numbered.items()],
        "endpoints": list(endpoints),
    }
