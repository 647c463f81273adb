"""The labels by which the operator finds objects and marks its own.

    ostiary.dev/gateway: NAME     on a Service: this is gateway NAME; on a ConfigMap of settings: they are for NAME
    ostiary.dev/usage: settings   on a ConfigMap: its ``settings.yaml`` holds a gateway's settings
    ostiary.dev/usage: config     on the operator's own ConfigMaps and Secrets, together with ostiary.dev/config
    ostiary.dev/usage: openapi    on a user's ConfigMap: it holds an OpenAPI document, whose changes are watched
    ostiary.dev/usage: api-key    on a user's Secret: it holds API keys of callers
    ostiary.dev/usage: anything   on a user's Secret: resources of its namespace may refer to it
    ostiary.dev/hosts: a.example  annotation of such a Secret: the hosts that its values may be sent to, with commas
    ostiary.dev/config: NAME      on the operator's own ConfigMaps and Secrets: the compiled config of gateway NAME

A resource may have the annotation ostiary.dev/source: the web address of its YAML in Git, which the console links.

A Secret with API keys has annotations: ostiary.dev/consumer, ostiary.dev/groups and ostiary.dev/expires.

Every ConfigMap and Secret that matters has the key ``ostiary.dev/usage``, since a watch has one label selector.
"""

import re
from collections.abc import Mapping
from typing import Final

from ostiary_core import kubernetes_labels
from ostiary_operator.api.objects import ReadOnlyObject

GATEWAY: Final = kubernetes_labels.GATEWAY
USAGE: Final = "ostiary.dev/usage"
CONFIG: Final = "ostiary.dev/config"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"

#: Annotation of a user's Secret: the hosts that its values may be sent to.
HOSTS: Final = "ostiary.dev/hosts"

SETTINGS_USAGE: Final = "settings"
CONFIG_USAGE: Final = "config"
API_KEY_USAGE: Final = "api-key"
SETTINGS_KEY: Final = "settings.yaml"

#: Annotations of a Secret with API keys.
CONSUMER: Final = "ostiary.dev/consumer"
GROUPS: Final = "ostiary.dev/groups"
EXPIRES: Final = "ostiary.dev/expires"
#: Annotation of an Event: the id of the trace of the change that caused it.
CHANGE_TRACE: Final = "ostiary.dev/change-trace"

#: Annotation of a resource: the web address of its YAML, for people.
SOURCE: Final = "ostiary.dev/source"

#: The port of a gateway's Service that serves its admin API, by name.
ADMIN_PORT: Final = "admin"

SERVICE_NAME: Final = kubernetes_labels.SERVICE_NAME
SLICE_MANAGER: Final = kubernetes_labels.SLICE_MANAGER
SLICE_CONTROLLER: Final = kubernetes_labels.SLICE_CONTROLLER
#: Selects the EndpointSlices that Kubernetes' own controller does not manage: another client wrote their endpoints.
FOREIGN_SLICES: Final = f"{SLICE_MANAGER}!={SLICE_CONTROLLER}"
#: Set by Kubernetes on every namespace.
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"

#: The namespace of the operator, the shared gateways and the platform's policies, unless it is configured.
OPERATOR_NAMESPACE: Final = "ostiary-system"

#: A DNS label (RFC 1123) of any length, for a schema that bounds the length by itself.
DNS_LABEL_OF_ANY_LENGTH: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#: A DNS label (RFC 1123): the name of a namespace, a Service or a gateway.
DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_DNS_LABEL: Final = re.compile(DNS_LABEL)


def is_dns_label(text: str) -> bool:
    """Return whether a text is one DNS label."""
    return _DNS_LABEL.fullmatch(text) is not None


def of(obj: ReadOnlyObject) -> Mapping[str, str]:
    """Return the labels of an object; drop values that are no text, which a file may contain."""
    return _texts_of(obj, "labels")


def annotations_of(obj: ReadOnlyObject) -> Mapping[str, str]:
    """Return the annotations of an object, under the same conditions."""
    return _texts_of(obj, "annotations")


def _texts_of(obj: ReadOnlyObject, field: str) -> Mapping[str, str]:
    metadata = obj.get("metadata")
    found = metadata.get(field) if isinstance(metadata, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def of_outputs(gateway: str) -> dict[str, str]:
    """Return the labels of everything that the operator makes for a gateway."""
    return {MANAGED_BY: "ostiary", CONFIG: gateway, USAGE: CONFIG_USAGE}
