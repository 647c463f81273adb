"""Kinds of other operators on a real API server: small definitions with the real names, and objects of them.

with foreign_kinds(control_plane, "toolhive.stacklok.dev"):
    has_server(world, "toolhive.stacklok.dev", "crm", status={"phase": "Ready", "url": "http://crm.team.svc/mcp"})
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from operator_environment import OperatorEnvironment

from ostiary_operator.api.server_kinds import BUILT_IN, ServerKind
from ostiary_operator.kube.kinds import REFERENCE_GRANTS, Kind
from ostiary_operator.kube.server_reader import kind_of
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.processes import wait_until

GRANT = REFERENCE_GRANTS[0]
TOOLS = ServerKind(
    group="example.com",
    version="v1",
    kind="ToolServer",
    plural="toolservers",
    url="status.endpoint",
    conditions=("Up",),
)
"""A kind that is not built in."""
_KINDS = (*BUILT_IN, TOOLS)


def kind_named(group: str, kind: str = "MCPServer") -> Kind:
    """Where the API server has the objects of a kind."""
    return next(kind_of(each) for each in _KINDS if each.identity == (group, kind))


def definition(*versions: Kind) -> dict[str, Any]:
    """A definition that accepts every object; several versions of a kind are one definition."""
    kind = versions[0]
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"kind": kind.name, "plural": kind.plural, "singular": kind.name.lower(), "listKind": f"{kind.name}List"}
    approval = "unapproved, a definition of tests"  # the API server wants it of groups below k8s.io
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource, "annotations": {"api-approved.kubernetes.io": approval}},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": names,
            "versions": [
                {
                    "name": each.version,
                    "served": True,
                    "storage": each is kind,
                    "schema": schema,
                    "subresources": {} if each.group == GRANT.group else {"status": {}},
                }
                for each in versions
            ],
        },
    }


@contextlib.contextmanager
def foreign_kinds(control_plane: ControlPlane, *groups: str) -> Iterator[None]:
    """Install the kinds of some groups, ReferenceGrant for that of Gateway API, until the end."""
    kinds: list[tuple[Kind, ...]] = [(kind_of(each),) for each in _KINDS if each.group in groups]
    kinds += [REFERENCE_GRANTS] if GRANT.group in groups else []
    manifest = yaml.safe_dump_all([definition(*each) for each in kinds])
    control_plane.kubectl("apply", "-f", "-", input=manifest)
    for kind, *_ in kinds:
        wait_until(functools.partial(control_plane.api.answers, kind.path()), what=f"the kind {kind.resource}")
    try:
        yield
    finally:
        control_plane.kubectl("delete", "--wait=true", "-f", "-", input=manifest)


def has_server(
    world: OperatorEnvironment,
    group: str,
    name: str,
    *,
    kind: str = "MCPServer",
    namespace: str | None = None,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
) -> None:
    """Create a server of another operator, which has said this about it."""
    found = kind_named(group, kind)
    where = namespace or world.team
    world.create(found, {"metadata": {"name": name, "namespace": where}, "spec": dict(spec or {})})
    if status is not None:
        says(world, group, name, status, kind=kind, namespace=where)


def says(
    world: OperatorEnvironment,
    group: str,
    name: str,
    status: Mapping[str, Any],
    *,
    kind: str = "MCPServer",
    namespace: str | None = None,
) -> None:
    """Replace parts of the status of a server, as its operator would."""
    path = kind_named(group, kind).path(namespace=namespace or world.team, name=name, subresource="status")
    world.api.request("PATCH", path, {"status": dict(status)})


def grant(*, namespace: str, of: str, group: str, kind: str = "MCPServer") -> dict[str, Any]:
    """A ReferenceGrant in a namespace for MCPProxies of another one."""
    spec = {
        "from": [{"group": "ostiary.dev", "kind": "MCPProxy", "namespace": of}],
        "to": [{"group": group, "kind": kind}],
    }
    return {"metadata": {"name": "proxies", "namespace": namespace}, "spec": spec}
