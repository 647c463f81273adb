"""The credential that gateways send to a server: `credential` of a server in an MCPProxy."""

import enum
from typing import Annotated

from pydantic import Field, StrictStr, StringConstraints

from ostiary_operator.api.authentication import CredentialHeader, Scheme
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.references import PRINTABLE, SecretReference
from ostiary_operator.api.urls import UpstreamUrl

Scope = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=256),
    Pattern("^[-!#-,.-Z^-~]+$", "is not a scope", "write one word without quotes and brackets, such as crm.read"),
]
"""A scope of OAuth (RFC 6749 §3.3)."""


class BearerCredential(ApiModel):
    """A token that is sent as `Authorization: Bearer`."""

    secret_ref: SecretReference
    """The token. Example: `{name: crm-token, key: token}`."""


class HeaderCredential(ApiModel):
    """A value that is sent in a header."""

    name: CredentialHeader
    """Name of the header. Example: `X-Api-Key`."""

    scheme: Scheme | None = None
    """Word that precedes the value. Absent means the value alone. Example: `Token`."""

    secret_ref: SecretReference
    """The value. Example: `{name: crm-key, key: api-key}`."""


class ClientCredentials(ApiModel):
    """An access token that the gateway gets for itself (RFC 6749 §4.4)."""

    token_endpoint: UpstreamUrl
    """URL of the token endpoint. Its host must be among `ostiary.dev/hosts` of the Secret, besides the server's.
    Example: `https://auth.example.com/oauth/token`."""

    client_id: Annotated[StrictStr, StringConstraints(min_length=1, max_length=256), PRINTABLE]
    """The client's id. Example: `ostiary`."""

    client_secret_ref: SecretReference
    """The client's secret, which is sent to the token endpoint alone. Example: `{name: crm-client, key: secret}`."""

    scopes: Annotated[tuple[Scope, ...], Field(max_length=32), Unique()] = ()
    """Scopes to ask for. Example: `[crm.read]`."""

    resource: UpstreamUrl | None = None
    """Resource that the token is for (RFC 8707). Example: `https://crm.example.com/mcp`."""

    audience: Annotated[StrictStr, StringConstraints(min_length=1, max_length=1024), PRINTABLE] | None = None
    """Audience of the token, for authorization servers with that parameter. Example: `https://crm.example.com`."""


TokenType = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=256),
    Pattern(
        "^[A-Za-z][-A-Za-z0-9+.]*:[!-~]+$",
        "is not the URI of a token type",
        "write one such as urn:ietf:params:oauth:token-type:access_token",
    ),
]
"""The type of a token in an exchange (RFC 8693 §3)."""


class TokenExchange(ApiModel):
    """An access token for each caller, in exchange for the caller's own (RFC 8693).

    Callers need an access token (`jwt` or `introspection`). It is sent to the token endpoint, never to the server.
    """

    token_endpoint: UpstreamUrl
    """URL of the token endpoint. Its host must be among `ostiary.dev/hosts` of the Secret, besides the server's. Where
    platform policies authenticate callers, it must be at one of their issuers: same scheme, host and port.
    Example: `https://auth.example.com/oauth/token`."""

    client_id: Annotated[StrictStr, StringConstraints(min_length=1, max_length=256), PRINTABLE]
    """The gateway's id as a client. Example: `ostiary`."""

    client_secret_ref: SecretReference
    """The client's secret, which is sent to the token endpoint alone. Example: `{name: crm-client, key: secret}`."""

    subject_token_type: TokenType = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a type, not a token
    """Type of the caller's token. Example: `urn:ietf:params:oauth:token-type:jwt`."""

    requested_token_type: TokenType | None = None
    """Type of the token to get. Absent means that the authorization server decides.
    Example: `urn:ietf:params:oauth:token-type:access_token`."""

    scopes: Annotated[tuple[Scope, ...], Field(max_length=32), Unique()] = ()
    """Scopes to ask for. Example: `[crm.read]`."""

    resource: UpstreamUrl | None = None
    """Resource that the token is for (RFC 8707). Example: `https://crm.example.com/mcp`."""

    audience: Annotated[StrictStr, StringConstraints(min_length=1, max_length=1024), PRINTABLE] | None = None
    """Audience of the token. Example: `crm`."""


class AssertionAudience(enum.StrEnum):
    """What the audience of an identity assertion is."""

    URL = "URL"
    ORIGIN = "Origin"


class IdentityAssertion(ApiModel):
    """A signed statement about the caller: a JWT (RFC 7519) with the algorithm ES256.

    The server verifies it with the gateway's keys at `/.well-known/jwks.json`. Anonymous callers get none.
    """

    header: CredentialHeader = "Authorization"
    """Header that carries it. Example: `X-Caller-Identity`."""

    scheme: Scheme | None = None
    """Word that precedes it. Absent means Bearer for the header Authorization, and none for any other header.
    Example: `Bearer`."""

    audience: AssertionAudience = AssertionAudience.URL
    """Claim `aud`. URL: the server's URL without its query. Origin: scheme, host and port of it. Example: `Origin`."""

    lifetime: Annotated[Duration, between("10s", "5m")] = Duration.parse("60s")
    """How long one is valid; 10s to 5m. Example: `2m`."""

    claims: Annotated[
        tuple[Annotated[StrictStr, StringConstraints(min_length=1, max_length=256)], ...],
        Field(max_length=16),
        Unique(),
    ] = ()
    """Claims of the caller's own token that it repeats, in its claim `claims`. Example: `[email]`."""


class UpstreamCredential(ApiModel):
    """What the gateway sends to a server to authenticate itself, or to say who calls."""

    bearer: BearerCredential | None = None
    """Sends a token. Exactly one of the members must be set.
    Example: `{secretRef: {name: crm-token, key: token}}`."""

    header: HeaderCredential | None = None
    """Sends a value in a header. Exactly one of the members must be set.
    Example: `{name: X-Api-Key, secretRef: {name: crm-key, key: api-key}}`."""

    client_credentials: ClientCredentials | None = None
    """Gets access tokens and sends them. Exactly one of the members must be set. Example:
    `{tokenEndpoint: "https://auth.example.com/token", clientId: a, clientSecretRef: {name: a, key: secret}}`."""

    token_exchange: TokenExchange | None = None
    """Exchanges the caller's token and sends the result. Exactly one of the members must be set. Example:
    `{tokenEndpoint: "https://auth.example.com/token", clientId: a, clientSecretRef: {name: a, key: secret}}`."""

    identity_assertion: IdentityAssertion | None = None
    """Sends a signed statement about the caller. Exactly one of the members must be set. Example: `{}`."""

    constraints = (
        Rule(
            "[has(self.bearer), has(self.header), has(self.clientCredentials), has(self.tokenExchange),"
            " has(self.identityAssertion)].filter(x, x).size() == 1",
            lambda it: it.kinds == 1,
            "needs exactly one kind of credential",
            "set bearer, header, clientCredentials, tokenExchange or identityAssertion",
        ),
    )

    @property
    def kinds(self) -> int:
        """How many kinds are set."""
        found = (self.bearer, self.header, self.token_client, self.identity_assertion)
        return sum(each is not None for each in found) + (None not in (self.client_credentials, self.token_exchange))

    @property
    def token_client(self) -> ClientCredentials | TokenExchange | None:
        """The part that sends a secret to a token endpoint, None where there is none."""
        return self.client_credentials or self.token_exchange
