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

    identity_assertion: IdentityAssertion | None = None
    """Sends a signed statement about the caller. Exactly one of the members must be set. Example: `{}`."""

    constraints = (
        Rule(
            "[has(self.bearer), has(self.header), has(self.clientCredentials), has(self.identityAssertion)]"
            ".filter(x, x).size() == 1",
            lambda it: it.kinds == 1,
            "needs exactly one kind of credential",
            "set bearer, header, clientCredentials or identityAssertion",
        ),
    )

    @property
    def kinds(self) -> int:
        """How many kinds are set."""
        found = (self.bearer, self.header, self.client_credentials, self.identity_assertion)
        return sum(each is not None for each in found)
