"""Where a server is reached: Services, other operators' resources, endpoints."""

import enum
from typing import Annotated, Final

from pydantic import Field, StrictInt, StrictStr, StringConstraints

from ostiary_core.contract.server_resilience import MOST_ENDPOINTS
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Unique
from ostiary_operator.api.names import DnsLabel, ObjectName
from ostiary_operator.api.quantities import INTEGRAL
from ostiary_operator.api.urls import BARE_HOST, NO_DISGUISED_HOST, EndpointPath

Port = Annotated[StrictInt, Field(ge=1, le=65535), INTEGRAL]
"""The number of a port."""

_GROUP: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+"


class ServiceReference(ApiModel):
    """Names a port of a Service in the namespace of the MCPProxy."""

    name: DnsLabel
    """Name of the Service. Example: `crm-mcp`."""

    port: Port
    """Port of the Service, as a number. Example: `8080`."""

    path: EndpointPath | None = None
    """Path of the MCP endpoint on the server. Absent means `/mcp`, and with `openapi` `/`. Example: `/v2/mcp`."""


class ServerReference(ApiModel):
    """Names a resource of another operator, which says where its MCP server is reached."""

    group: Annotated[
        StrictStr,
        StringConstraints(min_length=1, max_length=253),
        Pattern(f"^{_GROUP}$", "is not the group of an API", "write it as in apiVersion, such as mcp.x-k8s.io"),
    ]
    """API group of the resource, without its version. Example: `mcp.x-k8s.io`."""

    kind: Annotated[
        StrictStr,
        StringConstraints(min_length=1, max_length=63),
        Pattern("^[A-Z][A-Za-z0-9]*$", "is not a kind", "write it as in the resource, such as MCPServer"),
    ]
    """Kind of the resource: one of those that the operator's settings name. Example: `MCPServer`."""

    name: ObjectName
    """Name of the resource. Example: `crm`."""

    namespace: DnsLabel | None = None
    """Namespace of the resource. Absent means that of the MCPProxy. A ReferenceGrant in any other one must permit it.
    Example: `crm`."""


class RoutingType(enum.StrEnum):
    """What a gateway connects to."""

    ENDPOINT = "Endpoint"
    SERVICE = "Service"


class BalancingType(enum.StrEnum):
    """How an endpoint is chosen for a request."""

    LEAST_REQUEST = "LeastRequest"
    ROUND_ROBIN = "RoundRobin"


class LoadBalancerChoice(ApiModel):
    """How a gateway chooses one of several endpoints."""

    type: BalancingType
    """LeastRequest: of two endpoints at random, the one with fewer open requests and streams, so that a slow one gets
    less. RoundRobin: one after the other. Example: `LeastRequest`."""


class ServerEndpoint(ApiModel):
    """One place where a server is reached."""

    address: Annotated[
        StrictStr,
        StringConstraints(min_length=1, max_length=253),
        Pattern(
            f"^{BARE_HOST}$",
            "is not a host",
            "write an IP address without brackets, or a DNS name, such as 10.0.0.7",
        ),
        NO_DISGUISED_HOST,
    ]
    """IP address or DNS name. What the server's `url` says stays as it is: scheme, path, the header Host, and the name
    that TLS verifies. Example: `10.0.0.7`."""

    port: Port
    """Port there. Example: `8080`."""

    zone: (
        Annotated[
            StrictStr,
            StringConstraints(min_length=1, max_length=63),
            Pattern(
                "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
                "is not the name of a zone",
                "write the value of the label topology.kubernetes.io/zone, such as eu-west-1a",
            ),
        ]
        | None
    ) = None
    """Zone of the endpoint. A gateway prefers endpoints of its own zone while one is left there. Absent means every
    zone. Example: `eu-west-1a`."""


ServerEndpoints = Annotated[
    tuple[ServerEndpoint, ...], Field(min_length=1, max_length=MOST_ENDPOINTS), Unique(("address", "port"))
]
"""The endpoints of one server."""
