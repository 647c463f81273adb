"""Generates the CRDs from the models, for `ostiary crds --write crds`."""

from typing import Any

import yaml

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.conditions import OF_EVERY_KIND, UNJUDGED_SINCE, ConditionStatus
from ostiary_operator.api.resources import (
    GROUP,
    LOCK_KIND,
    POLICY_KIND,
    PROXY_KIND,
    VERSION,
    MCPLock,
    MCPPolicy,
    MCPProxy,
)
from ostiary_operator.api.schema import Schema, described_defaults, structural, unwrapped
from ostiary_operator.api.status import LockStatus, PolicyStatus, ProxyStatus

_HEADER = "# Generated from the models by `ostiary crds --write crds`. Do not edit.\n"

_API_VERSION = "Version of the API that this object is written in, such as `ostiary.dev/v1alpha1`."
_KIND = "Kind of the object, such as `{kind}`."
_STATUS = "What the operator observed. Users only read it."

#: The conditions of an object that the operator has not seen yet. kstatus, and with it Flux and `helm --wait`, takes
#: an object without conditions for ready. Gateway API's definitions have such a default, too.
_UNJUDGED = {
    "conditions": [
        {
            "type": str(kind),
            "status": str(ConditionStatus.UNKNOWN),
            "reason": "Pending",
            "message": "Waiting for the operator.",
            "lastTransitionTime": UNJUDGED_SINCE,
        }
        for kind in OF_EVERY_KIND
    ]
}


def render_crds() -> dict[str, str]:
    """The CRDs as YAML, by the name of the file that holds each."""
    return {f"{GROUP}_{crd['spec']['names']['plural']}.yaml": _dump(crd) for crd in crds()}


def crds() -> list[dict[str, Any]]:
    """The CRDs as objects: MCPProxy, MCPPolicy, MCPLock."""
    return [
        _crd(MCPProxy, ProxyStatus, kind=PROXY_KIND, plural="mcpproxies", short="mpx", columns=_PROXY_COLUMNS),
        _crd(MCPPolicy, PolicyStatus, kind=POLICY_KIND, plural="mcppolicies", short="mpol", columns=_POLICY_COLUMNS),
        _crd(MCPLock, LockStatus, kind=LOCK_KIND, plural="mcplocks", short="mlk", columns=_LOCK_COLUMNS),
    ]


def _condition(name: str, what: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{name}")].{what}'


def _column(name: str, path: str, description: str, *, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | {"priority": 1} if wide else column


_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_ACCEPTED = _column("Accepted", _condition("Accepted"), "Is it valid and permitted?")
_READY = _column("Ready", _condition("Ready"), "Accepted, resolved and programmed?")
_PROGRAMMED = _column("Programmed", _condition("Programmed"), "Does every ready replica run it?")
_REASON = _column("Reason", _condition("Ready", "reason"), "Ready, or why it is not.")

_PROXY_COLUMNS = (
    _column("URL", ".status.url", "The endpoint to give to an MCP client."),
    _READY,
    _REASON,
    _column("Policies", ".status.policyCount", "How many policies govern it; if 0, see Governed.", kind="integer"),
    _column("Gateways", ".status.programmed", "Replicas that run it, of those that should, by gateway."),
    _AGE,
    _ACCEPTED | {"priority": 1},
    _PROGRAMMED | {"priority": 1},
    _column("Upstream", _condition("UpstreamHealthy", "reason"), "What gateways saw of the server.", wide=True),
    _column("Upstreams", _condition("UpstreamsHealthy", "reason"), "The same of several servers.", wide=True),
    _column("Governed", _condition("Governed"), "Does any policy govern it?", wide=True),
)

_POLICY_COLUMNS = (
    _column("Targets", ".status.targetCount", "How many MCPProxies it governs.", kind="integer"),
    _ACCEPTED,
    _READY,
    _REASON,
    _AGE,
    _PROGRAMMED | {"priority": 1},
    _column("Effective", _condition("Effective"), "Does it probably do what its author meant?", wide=True),
)

_LOCK_COLUMNS = (
    _column("Proxy", ".spec.proxyRef.name", "The MCPProxy that it is for."),
    _column("Server", ".spec.server", "The server whose definitions it approves."),
    _column("Definitions", ".status.definitions", "How many definitions it approves.", kind="integer"),
    _column("Match", _condition("DefinitionsMatch"), "Does the server show only what is approved?"),
    _READY,
    _REASON,
    _AGE,
    _ACCEPTED | {"priority": 1},
    _PROGRAMMED | {"priority": 1},
)


def _crd(
    model: type[ApiModel],
    status: type[ApiModel],
    *,
    kind: str,
    plural: str,
    short: str,
    columns: tuple[dict[str, Any], ...],
) -> dict[str, Any]:
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "shortNames": [short],
        "categories": ["ostiary"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": list(columns),
        "schema": {"openAPIV3Schema": object_schema(model, status)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def object_schema(model: type[ApiModel], status: type[ApiModel]) -> Schema:
    """The schema of a whole object: the fields of every Kubernetes object, spec and status."""
    parts = structural(model, keep_nulls=True)["properties"]
    name = {"type": "string", "maxLength": parts["metadata"]["properties"]["name"]["maxLength"]}
    schema: Schema = {"description": unwrapped(model.__doc__ or ""), "type": "object"}
    for rule in model.constraints:
        rule.extend(schema)
    schema["required"] = ["spec"]
    schema["properties"] = {
        "apiVersion": {"description": _API_VERSION, "type": "string"},
        "kind": {"description": _KIND.format(kind=model.__name__), "type": "string"},
        "metadata": {"type": "object", "properties": {"name": name}},
        "spec": described_defaults(parts["spec"]),
        "status": {**structural(status), "description": _STATUS, "default": _UNJUDGED},
    }
    return schema


class _Dumper(yaml.SafeDumper):
    """Writes every value in full: YAML anchors would confuse readers of a schema."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the signature is PyYAML's
        """True for everything."""
        return True


def _dump(document: dict[str, Any]) -> str:
    return _HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
