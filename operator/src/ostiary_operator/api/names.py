"""Names in the API: of Kubernetes objects, of hosts, and of what an MCP server offers."""

from typing import Annotated

from pydantic import Field, StrictStr, StringConstraints

from ostiary_operator.api.constraints import Pattern, Rule, Unique, compiled, excludes
from ostiary_operator.api.labels import DNS_LABEL, DNS_LABEL_OF_ANY_LENGTH
from ostiary_operator.api.patterns import COMPILES

_DNS_NAME = rf"{DNS_LABEL}([.]{DNS_LABEL})*"

DnsLabel = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=63),
    Pattern(
        f"^{DNS_LABEL_OF_ANY_LENGTH}$",
        "is not a DNS label",
        "use lower-case letters, digits and inner hyphens, such as my-server",
    ),
]
"""A name of one DNS label (RFC 1123), such as that of a namespace, a Service, or an item of a list in a spec."""

ObjectName = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=253),
    Pattern(
        f"^{DNS_LABEL_OF_ANY_LENGTH}([.]{DNS_LABEL_OF_ANY_LENGTH})*$",
        "is not the name of a Kubernetes object",
        "use lower-case letters, digits, hyphens and dots, such as my-server",
    ),
]
"""The name of an object (RFC 1123 subdomain), such as a ConfigMap, a Secret, an MCPProxy or an MCPPolicy."""

DataKey = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=253),
    Pattern(
        "^[-._a-zA-Z0-9]+$",
        "is not a key of a ConfigMap or Secret",
        "use letters, digits, hyphens, dots and underscores, such as ca.crt",
    ),
]
"""A key in the data of a ConfigMap or Secret."""

NUMBER_HOST = "(^|[.])(0[xX][0-9a-fA-F]*|[0-9]+)$"
"""Hosts that resolvers read as an IPv4 address, with or without four parts (WHATWG URL, "ends in a number")."""

Hostname = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=253),
    Pattern(
        f"^{_DNS_NAME}$",
        "is not a DNS name",
        "write one exact host in lower case, without scheme, port or wildcard, such as mcp.example.com",
    ),
    excludes(NUMBER_HOST, "is an address or a number", "write a DNS name such as mcp.example.com"),
]
"""An exact DNS name in lower case: no wildcard, no address, no port."""

HostPattern = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=255),
    Pattern(
        rf"^([*]|([*][.])?{_DNS_NAME})$",
        "is not a host or a suffix of hosts",
        "write an exact name in lower case such as mcp.example.com, a suffix such as *.example.com, or *",
    ),
]
"""An exact DNS name or IPv4 address, `*.suffix` for every name below the suffix, or `*`."""

NameGlob = Annotated[StrictStr, StringConstraints(min_length=1, max_length=512)]
"""The name of a tool or prompt, or the URI of a resource: exact, with `*` for any run of characters."""

NamePattern = Annotated[StrictStr, StringConstraints(min_length=1, max_length=256), COMPILES]
"""An RE2 expression over a whole name."""

NameGlobs = Annotated[tuple[NameGlob, ...], Field(min_length=1, max_length=128), Unique()]
NamePatterns = Annotated[tuple[NamePattern, ...], Field(min_length=1, max_length=32), Unique()]

_LABEL_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"

_LABEL_KEY = f"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?{_LABEL_NAME}$"

LabelKey = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=317),
    Pattern(
        _LABEL_KEY,
        "is not the key of a label",
        "write a name with an optional prefix, such as team or example.com/team",
    ),
]
"""The key of a Kubernetes label."""

LabelValue = Annotated[
    StrictStr,
    StringConstraints(max_length=63),
    Pattern(
        f"^({_LABEL_NAME})?$",
        "is not the value of a label",
        "use at most 63 letters, digits, hyphens, dots and underscores",
    ),
]
"""The value of a Kubernetes label; it may be empty."""

Labels = Annotated[
    dict[StrictStr, LabelValue],
    Field(default_factory=dict, max_length=16),
    Rule(
        f"self.all(key, key.size() <= 317 && key.matches(r'{_LABEL_KEY}'))",
        lambda labels: all(len(k) <= 317 and compiled(_LABEL_KEY).search(k) for k in labels),
        "has a key that no label can have",
        "write a name with an optional prefix, such as team or example.com/team",
    ),
]
"""Labels with their values."""
