"""How the callers of an MCPProxy are authenticated: `spec.authentication` of an MCPPolicy."""

from typing import Annotated, Final

from pydantic import StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, excludes
from ostiary_operator.api.selectors import LabelSelector
from ostiary_operator.api.token_authentication import (
    ClientCertificateAuthentication,
    IntrospectionAuthentication,
    JwtAuthentication,
    PassthroughAuthentication,
)

#: Headers of HTTP, MCP and tracing, headers that proxies write, and those that only browsers manage.
_NO_CREDENTIAL: Final = (
    "accept(-.*)?|access-control-.*|baggage|cf-.*|connection|content-.*|cookie2?|date|expect|forwarded|host"
    "|keep-alive|last-event-id|max-forwards|mcp-.*|origin|proxy-.*|sec-.*|te|trace(parent|state)|trailer"
    "|transfer-encoding|upgrade|user-agent|via|x-envoy-.*|x-forwarded-.*|x-ostiary-.*|x-real-ip"
)

CredentialHeader = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=64),
    Pattern(
        "^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$",
        "is not the name of a header",
        "use letters, digits and hyphens, such as X-Api-Key",
    ),
    excludes(
        f"(?i)^({_NO_CREDENTIAL})$",
        "names a header with another meaning",
        "use Authorization, or a header for keys such as X-Api-Key",
    ),
]
"""The name of a header that holds a credential."""

Scheme = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=32),
    Pattern("^[A-Za-z][-A-Za-z0-9]*$", "is not an authentication scheme", "use one word, such as Bearer"),
]
"""An authentication scheme (RFC 9110 §11.1)."""


class ApiKeyAuthentication(ApiModel):
    """API keys in Secrets of the policy's namespace."""

    selector: LabelSelector
    """Selects the Secrets by label, among those with the label `ostiary.dev/usage: api-key`; `{}` selects all of them.
    Every entry of a Secret's data whose name starts with `key` is a valid key. Annotations of the Secret name the
    caller (`ostiary.dev/consumer`, by default the name of the Secret), its groups (`ostiary.dev/groups`) and when its
    keys expire (`ostiary.dev/expires`). Example: `{matchLabels: {app: support}}`."""

    header: CredentialHeader = "Authorization"
    """Header that holds the key. It never reaches the server. Example: `X-Api-Key`."""

    scheme: Scheme | None = None
    """Word that precedes the key in the header, in any case. Absent means Bearer for the header Authorization, and for
    any other header that its value is the key alone. Example: `Bearer`."""


class AnonymousAuthentication(ApiModel):
    """Admission of callers without a credential."""


class Authentication(ApiModel):
    """How callers prove who they are: by any of these methods. A credential that is not
    valid is always refused.
    """

    api_key: ApiKeyAuthentication | None = None
    """Accepts API keys. Example: `{selector: {matchLabels: {app: support}}}`."""

    jwt: JwtAuthentication | None = None
    """Accepts OAuth access tokens that are JWTs, and leads clients without one to the issuers.
    Example: `{issuers: [{issuer: "https://id.example.com"}]}`."""

    introspection: IntrospectionAuthentication | None = None
    """Accepts OAuth access tokens that the authorization server confirms, which may be opaque. Example:
    `{issuer: "https://id.example.com", clientId: ostiary, clientSecretRef: {name: introspection, key: secret}}`."""

    client_certificate: ClientCertificateAuthentication | None = None
    """Accepts client certificates. Example: `{source: Forwarded, caBundle: "-----BEGIN CERTIFICATE-----..."}`."""

    passthrough: PassthroughAuthentication | None = None
    """Leaves authentication to the MCP server: callers' `Authorization` reaches it, and its own challenges and metadata
    reach callers, with the URLs of the MCPProxy. Only rules that need no identity match. Example: `{}`."""

    anonymous: AnonymousAuthentication | None = None
    """Admits callers that send no credential, as the anonymous caller. Example: `{}`."""

    constraints = (
        Rule(
            "has(self.apiKey) || has(self.jwt) || has(self.introspection) || has(self.clientCertificate)"
            " || has(self.passthrough) || has(self.anonymous)",
            lambda it: it.methods > 0,
            "names no method",
            "set apiKey, jwt, introspection, clientCertificate or passthrough, or anonymous to admit every caller",
        ),
        Rule(
            "!has(self.passthrough) || !(has(self.apiKey) || has(self.jwt) || has(self.introspection)"
            " || has(self.clientCertificate) || has(self.anonymous))",
            lambda it: it.passthrough is None or it.methods == 1,
            "combines passthrough with another method",
            "remove one: with passthrough the MCP server decides alone",
        ),
    )

    @property
    def methods(self) -> int:
        """How many methods there are."""
        bearers = (self.api_key, self.jwt, self.introspection)
        found = (*bearers, self.client_certificate, self.passthrough, self.anonymous)
        return sum(each is not None for each in found)
