"""The labels by which the operator finds things, and marks what it makes.

    ostiary.dev/gateway: NAME     on a Service: this is gateway NAME; on a ConfigMap of settings: they are for NAME
    ostiary.dev/usage: settings   on a ConfigMap: its ``settings.yaml`` holds a gateway's settings
    ostiary.dev/usage: config     on our own ConfigMaps and Secrets, beside ostiary.dev/config
    ostiary.dev/usage: anything   on a user's Secret: resources of its namespace may refer to it
    ostiary.dev/config: NAME      on our own ConfigMaps and Secrets: the compiled config of gateway NAME

One key, ``ostiary.dev/usage``, lies on every ConfigMap and Secret that matters, since a watch has one label selector.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_operator.compile.objects import SLICE_CONTROLLER, SLICE_MANAGER

GATEWAY: Final = "ostiary.dev/gateway"
USAGE: Final = "ostiary.dev/usage"
CONFIG: Final = "ostiary.dev/config"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"

SETTINGS_USAGE: Final = "settings"
CONFIG_USAGE: Final = "config"
SETTINGS_KEY: Final = "settings.yaml"

#: The port of a gateway's Service that serves its admin API, by name.
ADMIN_PORT: Final = "admin"

#: Set by Kubernetes on every EndpointSlice of a Service.
SERVICE_NAME: Final = "kubernetes.io/service-name"
#: Selects the EndpointSlices that Kubernetes' own controller does not keep: somebody else wrote their endpoints.
FOREIGN_SLICES: Final = f"{SLICE_MANAGER}!={SLICE_CONTROLLER}"
#: Set by Kubernetes on every namespace.
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"


def of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of an object."""
    labels: Mapping[str, str] = obj.get("metadata", {}).get("labels") or {}
    return labels


def of_outputs(gateway: str) -> dict[str, str]:
    """Return the labels of everything that the operator makes for a gateway."""
    return {MANAGED_BY: "ostiary", CONFIG: gateway, USAGE: CONFIG_USAGE}
