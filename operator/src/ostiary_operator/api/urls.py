"""URLs, origins and paths in the API."""

from typing import Annotated

from pydantic import StrictStr, StringConstraints

from ostiary_operator.api.constraints import Pattern, Rule, compiled, excludes, matches

PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_BYTE}([.]{_BYTE}){{3}}"
_H = "[0-9A-Fa-f]{1,4}"
_BARE_IPV6 = (
    rf"({_H}(:{_H}){{7}}|({_H}:){{1,7}}:|({_H}:){{1,6}}:{_H}|({_H}:){{1,5}}(:{_H}){{1,2}}"
    rf"|({_H}:){{1,4}}(:{_H}){{1,3}}|({_H}:){{1,3}}(:{_H}){{1,4}}|({_H}:){{1,2}}(:{_H}){{1,5}}"
    rf"|{_H}:(:{_H}){{1,6}}|:(:{_H}){{1,7}}|::)"
)
_IPV6 = rf"\[{_BARE_IPV6}\]"
_NAME = "([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?[.])*[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
HOST = rf"({_NAME}|{_IPV6})"
BARE_HOST = rf"({_NAME}|{_BARE_IPV6})"
"""A host as EndpointSlices write it: an address of version six without brackets."""
_PATH = "(/([-A-Za-z0-9._~!$&()*+,;=:@]|%[0-9A-Fa-f]{2})*)*"
_QUERY = "([-A-Za-z0-9._~!$&()*+,;=:@/?]|%[0-9A-Fa-f]{2})*"
_CREDENTIAL_QUERY = (
    "(?i)[?&]([^=&#]*[-_.])?(api-?key|key|token|accesstoken|secret|password|passwd|pwd|sig|signature|auth|authorization"
    "|credentials?|jwt|bearer)="
)
_NUMBER = r"([^/:\[\]]*[.])?(0[xX][0-9A-Fa-f]*|[0-9]+)"
_MAPPED = r"\[[0:]*:[Ff]{4}:[0-9A-Fa-f]*:[0-9A-Fa-f]*\]"
_DISGUISED = rf"^[a-z][-a-z0-9+.]*://({_NUMBER}|{_MAPPED})([:/]|$)"
_DOTTED_QUAD = rf"^[a-z][-a-z0-9+.]*://{_IPV4}([:/]|$)"

NO_DISGUISED_ADDRESS = Rule(
    f"!self.matches(r'{_DISGUISED}') || self.matches(r'{_DOTTED_QUAD}')",
    lambda url: not compiled(_DISGUISED).search(url) or bool(compiled(_DOTTED_QUAD).search(url)),
    "has a host that is a disguised IPv4 address",
    "write a DNS name, or the address as four numbers",
)

_DISGUISED_HOST = r"^(([^:]*[.])?(0[xX][0-9A-Fa-f]*|[0-9]+)|[0:]*:[Ff]{4}:[0-9A-Fa-f]*:[0-9A-Fa-f]*)$"

NO_DISGUISED_HOST = Rule(
    f"!self.matches(r'{_DISGUISED_HOST}') || self.matches(r'^{_IPV4}$')",
    lambda host: not compiled(_DISGUISED_HOST).search(host) or bool(compiled(f"^{_IPV4}$").search(host)),
    "is a disguised IPv4 address",
    "write a DNS name, or the address as four numbers",
)

UpstreamUrl = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=2048),
    matches("^https?://[^/?#]", "is not an absolute http or https URL", "write it as http://host:port/mcp"),
    excludes("^[^/]*//[^/?#]*@", "must not contain user information", "remove it: a URL must not hold credentials"),
    excludes(
        _CREDENTIAL_QUERY, "has a query that looks like a credential", "remove it: a URL must not hold credentials"
    ),
    excludes("#", "must not have a fragment", "remove everything from the # on"),
    matches(
        rf"^[^:]*://([^/?#]*@)?{HOST}(:{PORT})?([/?#]|$)",
        "has an invalid host or port",
        "write the host as a DNS name or an address and the port as 1 to 65535",
    ),
    NO_DISGUISED_ADDRESS,
    matches(
        f"^[^:]*://[^/?#]*{_PATH}([?#].*)?$",
        "has a path with characters that must be percent-encoded",
        "encode spaces and other special characters, such as %20",
    ),
    matches(
        f"^[^?#]*([?]{_QUERY})?(#.*)?$",
        "has a query with characters that must be percent-encoded",
        "encode spaces and other special characters, such as %20",
    ),
]
"""Where an MCP server listens: scheme, host, optional port, path and query, nothing else."""

Authority = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=259),
    Pattern(
        rf"^{HOST}(:{PORT})?$",
        "is not a host with an optional port",
        "write it as in the server's list of allowed hosts, such as localhost:8000 or crm.example.com",
    ),
]
"""A host with an optional port, as in the header Host."""

Origin = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=300),
    Pattern(
        rf"^[a-z][-a-z0-9+.]*://{HOST}(:{PORT})?$",
        "is not an origin",
        "write scheme, host and port without path or trailing slash, such as https://app.example.com",
    ),
    excludes("[A-Z]", "has upper-case letters", "write it in lower case, as browsers send it"),
    excludes("^(http://.*:80|https://.*:443)$", "names the default port", "omit the port, as browsers do"),
    NO_DISGUISED_ADDRESS,
]
"""An origin as browsers send it (RFC 6454); schemes other than http and https belong to desktop clients."""

HttpOrigin = Annotated[
    Origin,
    matches("^https?://", "is not an http or https URL", "write it as https://mcp.example.com"),
]
"""Scheme, host and optional port of a web server."""

EgressProxyUrl = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=300),
    excludes(
        "@",
        "must not contain user information",
        "remove it: settings must not hold credentials; set a proxy that requires them in the environment of the "
        "gateway (HTTPS_PROXY, from a Secret), and omit egressProxy",
    ),
    excludes("(?i)^https://", "is the URL of a proxy with TLS, which is not supported", "write it as http://host:port"),
    matches(
        rf"^http://{HOST}:{PORT}/?$",
        "is not the URL of an HTTP proxy",
        "write it as http://host:port, such as http://proxy.corp:3128",
    ),
    NO_DISGUISED_ADDRESS,
]
"""Where an HTTP proxy listens: scheme, host and port."""

NoProxyItem = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=300),
    matches(
        rf"^([*]|([*]?[.])?{_NAME}(:{PORT})?|{_IPV4}(/([12]?[0-9]|3[0-2]))?"
        rf"|(\[?[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\]?)(/([1-9]?[0-9]|1[01][0-9]|12[0-8]))?)$",
        "names no server",
        "write a name, *.suffix, an address, a CIDR, or *; a name may have a port",
    ),
]
"""Servers, as an item of `NO_PROXY` names them."""

EndpointPath = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=1024),
    Pattern(
        "^(/([-A-Za-z0-9._~!$&()*+,;=:@]|%[0-9A-Fa-f]{2})*)+$",
        "is not an absolute path",
        "start it with a slash, omit query and fragment, and percent-encode special characters",
    ),
]
"""The path of an MCP endpoint on its server."""

_SEGMENTS = "^(/[A-Za-z0-9._~-]+)+$"

ProxyPath = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=255),
    matches(
        _SEGMENTS,
        "is not a path of plain segments",
        "start each segment with a slash, use letters, digits and . _ ~ - only, and end without a slash",
    ),
    excludes("/[.]{1,2}(/|$)", "has a segment . or ..", "write the path without them"),
    excludes("/mcp$", "ends in /mcp", "omit /mcp: it is added to make the endpoint"),
    excludes("^/([.]well-known|-)(/|$)", "is reserved for the gateway", "choose a path outside /.well-known and /-"),
]
"""The path of a proxy; `/mcp` is added to make the endpoint."""

PathPrefix = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=255),
    Pattern(
        "^(/|(/[A-Za-z0-9._~-]+)+)$",
        "is not a path prefix",
        "write whole segments without a trailing slash, such as /team-a; / alone is every path",
    ),
    excludes("/[.]{1,2}(/|$)", "has a segment . or ..", "write the path without them"),
]
"""A prefix of paths by whole segments: `/team` covers `/team` and `/team/a`, not `/teams`."""
