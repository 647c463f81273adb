"""The OpenTelemetry Resource: the attributes of this process in every export.

In increasing priority: defaults, the ``extra`` of :func:`resource_attributes`, Kubernetes' downward API,
``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_SERVICE_NAME``.

The downward API is read from ``POD_NAME`` (metadata.name), ``POD_NAMESPACE`` (metadata.namespace), ``POD_UID``
(metadata.uid), ``NODE_NAME`` (spec.nodeName), ``CONTAINER_NAME`` and ``DEPLOYMENT_NAME``, but only where ``POD_NAME``
is set: elsewhere such names may mean anything. In a pod the instance id is ``<namespace>.<pod>.<container>``, as the
conventions for Kubernetes define it; elsewhere it is random, and one for the process. That of a worker of several ends
with ``-w`` and its index.
"""

import uuid
from collections.abc import Mapping
from typing import Final

from ostiary_core.version import __version__
from ostiary_gateway.telemetry import semantic_conventions
from ostiary_gateway.telemetry.environment_variables import Environment

_DOWNWARD: Final = {
    "POD_NAME": semantic_conventions.K8S_POD_NAME,
    "POD_NAMESPACE": semantic_conventions.K8S_NAMESPACE_NAME,
    "POD_UID": semantic_conventions.K8S_POD_UID,
    "NODE_NAME": semantic_conventions.K8S_NODE_NAME,
    "CONTAINER_NAME": semantic_conventions.K8S_CONTAINER_NAME,
    "DEPLOYMENT_NAME": semantic_conventions.K8S_DEPLOYMENT_NAME,
}
#: The index of a worker, which its process sets.
WORKER: Final = "OSTIARY_WORKER"
_CONTAINER: Final = "gateway"
#: The same for spans and metrics of this process.
_RANDOM_INSTANCE: Final = str(uuid.uuid4())


def resource_attributes(env: Environment, extra: Mapping[str, str]) -> dict[str, str]:
    """The attributes of this process's resource."""
    pod = _pod(env)
    if semantic_conventions.K8S_NAMESPACE_NAME in pod:
        pod[semantic_conventions.SERVICE_NAMESPACE] = pod[semantic_conventions.K8S_NAMESPACE_NAME]
    given = {key: value for key, value in env.pairs("OTEL_RESOURCE_ATTRIBUTES").items() if value}
    if service_name := env.text("OTEL_SERVICE_NAME"):
        given[semantic_conventions.SERVICE_NAME] = service_name
    found = {
        # The SDK's own name is reserved for spans that the SDK records, which these are not (resource conventions).
        semantic_conventions.TELEMETRY_SDK_NAME: semantic_conventions.SDK_NAME,
        semantic_conventions.TELEMETRY_SDK_LANGUAGE: "python",
        semantic_conventions.TELEMETRY_SDK_VERSION: __version__,
        semantic_conventions.SERVICE_NAME: semantic_conventions.SERVICE_DEFAULT,
        semantic_conventions.SERVICE_VERSION: __version__,
        semantic_conventions.SERVICE_INSTANCE_ID: _instance_id(pod),
        **extra,
        **pod,
        **given,
    }
    if worker := env.text(WORKER):  # instances must differ, or a backend takes them for one whose counters go back
        found[semantic_conventions.SERVICE_INSTANCE_ID] += f"-w{worker}"
    return found


def _pod(env: Environment) -> dict[str, str]:
    if env.text("POD_NAME") is None:
        return {}
    return {key: value for variable, key in _DOWNWARD.items() if (value := env.text(variable))}


def _instance_id(pod: Mapping[str, str]) -> str:
    if semantic_conventions.K8S_POD_NAME not in pod or semantic_conventions.K8S_NAMESPACE_NAME not in pod:
        return _RANDOM_INSTANCE
    container = pod.get(semantic_conventions.K8S_CONTAINER_NAME, _CONTAINER)
    return f"{pod[semantic_conventions.K8S_NAMESPACE_NAME]}.{pod[semantic_conventions.K8S_POD_NAME]}.{container}"
