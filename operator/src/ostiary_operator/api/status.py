"""The `status` of an MCPProxy and of an MCPPolicy, which the operator writes."""

from typing import Annotated

from pydantic import Field, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.conditions import Conditions, Count
from ostiary_operator.api.constraints import Atomic, Unique

_Identity = Annotated[StrictStr, StringConstraints(max_length=127)]
_ObjectName = Annotated[StrictStr, StringConstraints(max_length=253)]
_Namespace = Annotated[StrictStr, StringConstraints(max_length=63)]
_TraceId = Annotated[StrictStr, StringConstraints(min_length=32, max_length=32)]
_Url = Annotated[StrictStr, StringConstraints(max_length=2048)]


class EndpointStatus(ApiModel):
    """Where one gateway serves a proxy."""

    gateway: _Identity
    """The gateway, as namespace/name. Example: `ostiary-system/default`."""

    hostname: _ObjectName | None = None
    """Hostname of this endpoint; absent if it is served at any host. Example: `mcp.example.com`."""

    url: _Url
    """The complete URL that clients connect to. Example: `https://mcp.example.com/crm/mcp`."""


class GatewayStatus(ApiModel):
    """How many replicas of a gateway run this generation."""

    name: Annotated[StrictStr, StringConstraints(max_length=63)]
    """Name of the gateway. Example: `default`."""

    namespace: _Namespace
    """Namespace of the gateway. Example: `ostiary-system`."""

    ready: Count
    """Replicas that report that they run this generation. Example: `2`."""

    desired: Count
    """Replicas that should run it. Example: `2`."""


class ObjectReference(ApiModel):
    """Names an MCPProxy or an MCPPolicy."""

    namespace: _Namespace
    """Namespace of the resource. Example: `tools`."""

    name: _ObjectName
    """Name of the resource. Example: `crm`."""


class ProxyStatus(ApiModel):
    """What the operator observed of an MCPProxy."""

    observed_generation: Count | None = None
    """The metadata.generation that this status describes. Example: `3`."""

    url: _Url | None = None
    """The complete endpoint URL, for MCP clients. Example: `https://mcp.example.com/crm/mcp`."""

    urls: Annotated[tuple[EndpointStatus, ...], Field(max_length=64), Atomic()] = ()
    """All endpoints, by gateway and hostname. Example: `[{gateway: ostiary-system/default, url: "https://..."}]`."""

    conditions: Conditions = ()
    """Accepted, ResolvedRefs, Programmed, Ready; UpstreamHealthy, AuthDiscovery and Governed.
    Example: `[{type: Ready, status: "True"}]`."""

    gateways: Annotated[tuple[GatewayStatus, ...], Field(max_length=64), Unique(("namespace", "name"))] = ()
    """The gateways that serve it, with their replicas. Example: `[{name: default, ready: 2, desired: 2}]`."""

    programmed: Annotated[StrictStr, StringConstraints(max_length=1024)] | None = None
    """The gateways in short, for `kubectl get`. Example: `default 2/2`."""

    change_trace: _TraceId | None = None
    """The trace of the change that last changed this status, where the operator traces changes.
    Example: `4bf92f3577b34da6a3ce929d0e0e4736`."""

    policies: Annotated[tuple[ObjectReference, ...], Field(max_length=256), Atomic()] = ()
    """The policies that govern it. Example: `[{namespace: tools, name: read-only}]`."""

    policy_count: Count | None = None
    """Total number of policies that govern it. Example: `1`."""


class PolicyStatus(ApiModel):
    """What the operator observed of an MCPPolicy."""

    observed_generation: Count | None = None
    """The metadata.generation that this status describes. Example: `3`."""

    conditions: Conditions = ()
    """Accepted, ResolvedRefs, Programmed, Ready; Effective; with tests also TestsPassed.
    Example: `[{type: Ready, status: "True"}]`."""

    change_trace: _TraceId | None = None
    """The trace of the change that last changed this status, where the operator traces changes.
    Example: `4bf92f3577b34da6a3ce929d0e0e4736`."""

    targets: Annotated[tuple[ObjectReference, ...], Field(max_length=256), Atomic()] = ()
    """The first 256 MCPProxies that it governs. Example: `[{namespace: tools, name: crm}]`."""

    target_count: Count | None = None
    """Total number of MCPProxies that it governs. Example: `12`."""
