"""Blocks in a gateway's settings: principals, proxies and servers that it refuses."""

from typing import Annotated, Final

from pydantic import Field, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern
from ostiary_operator.api.labels import DNS_LABEL_OF_ANY_LENGTH
from ostiary_operator.api.urls import HOST, PORT

_TEXT = r"[^\x00-\x1f\x7f]+"
_DIGEST = "[-_A-Za-z0-9]{43}"
#: The most items of each list.
MOST_BLOCKED: Final = 1000

BlockedPrincipal = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=600),
    Pattern(
        rf"^((consumer:)?{DNS_LABEL_OF_ANY_LENGTH}/{_TEXT}|(token|certificate):{_DIGEST}|anonymous|passthrough)$",
        "is not a principal",
        "write a consumer as namespace/name, or the id that `ostiary whoami` and spans (user.hash) show, such as "
        "token:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
    ),
]
"""A consumer as `namespace/name`, or the id of a principal."""

BlockedProxy = Annotated[
    StrictStr,
    StringConstraints(min_length=3, max_length=317),
    Pattern(
        rf"^{DNS_LABEL_OF_ANY_LENGTH}/{DNS_LABEL_OF_ANY_LENGTH}([.]{DNS_LABEL_OF_ANY_LENGTH})*$",
        "does not name an MCPProxy",
        "write namespace/name, such as sales/crm",
    ),
]
"""An MCPProxy as `namespace/name`."""

BlockedUpstream = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=261),
    Pattern(
        rf"^([*][.])?{HOST}(:{PORT})?$",
        "is not a host with an optional port",
        "write the host as in the URL of the server, such as crm.example.com, crm.sales.svc:8000 or *.example.com",
    ),
]
"""The host of a server with an optional port, or `*.suffix`."""


class BlockedSubject(ApiModel):
    """The callers whose tokens have one issuer and subject."""

    issuer: Annotated[StrictStr, StringConstraints(min_length=1, max_length=2048)]
    """Issuer, as the policy names it (claim `iss`). Example: `https://id.example.com`."""

    subject: Annotated[StrictStr, StringConstraints(min_length=1, max_length=512)]
    """Subject of the token (claim `sub`), or the client's id where the token has no subject. Example: `agent-17`."""


class Blocked(ApiModel):
    """What the gateway refuses within a second, whatever policies and MCPProxies say.

    New requests are refused, open streams are closed, and requests in flight end.
    """

    principals: Annotated[tuple[BlockedPrincipal, ...], Field(max_length=MOST_BLOCKED)] = ()
    """Callers: a consumer as `namespace/name` blocks each of its keys, tokens and certificates; an id that
    `ostiary whoami` and spans (`user.hash`) show blocks one principal; `anonymous` blocks callers without a credential.
    Example: `[support/agent]`."""

    subjects: Annotated[tuple[BlockedSubject, ...], Field(max_length=MOST_BLOCKED)] = ()
    """Callers by issuer and subject of their tokens.
    Example: `[{issuer: "https://id.example.com", subject: agent-17}]`."""

    proxies: Annotated[tuple[BlockedProxy, ...], Field(max_length=MOST_BLOCKED)] = ()
    """MCPProxies, as `namespace/name`. Example: `[sales/crm]`."""

    upstreams: Annotated[tuple[BlockedUpstream, ...], Field(max_length=MOST_BLOCKED)] = ()
    """Servers, by the host of their URL, and by the port if one is given; `*.suffix` is every host below the suffix.
    The host of a Service is `name.namespace.svc`. Example: `[crm.example.com, "crm.sales.svc:8000"]`."""
