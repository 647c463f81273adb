"""How callers are authenticated by OAuth: parts of `spec.authentication`."""

import enum
from typing import Annotated, Final

from pydantic import Field, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Rule, Unique, excludes, matches
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.urls import NO_DISGUISED_ADDRESS

_HTTPS_OR_INSIDE: Final = (
    r"^(https://|http://([-a-z0-9.]+[.]svc([.]cluster[.]local)?|localhost|127[.]0[.]0[.]1|\[::1\])(:[0-9]+)?(/|$))"
)

ServerUrl = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=1024),
    matches(
        _HTTPS_OR_INSIDE,
        "is not an https URL",
        "write it as https://id.example.com; http is only for Services of the cluster (.svc) and loopback",
    ),
    excludes("@", "must not contain user information", "remove it: a URL must not hold credentials"),
    excludes("[?#[:space:]]", "has a query, a fragment or white space", "remove it"),
    NO_DISGUISED_ADDRESS,
]
"""A URL of an authorization server."""

ClaimPath = Annotated[
    tuple[Annotated[StrictStr, StringConstraints(min_length=1, max_length=256)], ...],
    Field(min_length=1, max_length=8),
    Atomic(),
]
"""The path to a claim: its name, or the names that lead to it within other claims."""

Audiences = Annotated[
    tuple[Annotated[StrictStr, StringConstraints(min_length=1, max_length=1024)], ...],
    Field(min_length=1, max_length=16),
    Unique(),
]
"""Values of the claim `aud`."""

PemBundle = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=65536),
    matches(
        "-----BEGIN CERTIFICATE-----",
        "holds no certificate",
        "paste the certificates of the authorities as PEM",
    ),
    excludes("PRIVATE KEY", "holds a private key", "remove it, and replace that key: it is no secret any more"),
]
"""Certificates as PEM."""


class SignatureAlgorithm(enum.StrEnum):
    """An algorithm of JWS (RFC 7518 §3.1). All are asymmetric."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


class TokenIssuer(ApiModel):
    """One issuer of access tokens."""

    issuer: ServerUrl
    """The issuer's identifier, exactly as in the claim `iss`. Clients are sent there for tokens. Example:
    `https://id.example.com/realms/agents`."""

    audiences: Audiences | None = None
    """Accepted values of the claim `aud`. Absent means the URLs of the MCPProxy, as MCP demands; set it where the
    authorization server cannot put them into tokens. Example: `["api://tickets"]`."""

    jwks_uri: ServerUrl | None = None
    """Where the issuer publishes its keys. Absent means that its metadata says so (RFC 8414, OpenID Connect).
    Example: `https://id.example.com/keys`."""

    jwks: Annotated[StrictStr, StringConstraints(min_length=1, max_length=65536)] | None = None
    """The issuer's public keys, as a JWK Set in JSON: nothing is fetched. Example: `'{"keys": [...]}'`."""

    algorithms: Annotated[
        tuple[SignatureAlgorithm, ...], Field(min_length=1, max_length=len(SignatureAlgorithm)), Unique()
    ] = tuple(SignatureAlgorithm)
    """Accepted signature algorithms. Example: `[RS256]`."""

    types: Annotated[
        tuple[Annotated[StrictStr, StringConstraints(min_length=1, max_length=128)], ...],
        Field(min_length=1, max_length=8),
        Unique(),
    ] = ("at+jwt", "JWT")
    """Accepted values of the header `typ`, without `application/`; a token without one counts as JWT. `[at+jwt]`
    accepts access tokens only (RFC 9068). Example: `[at+jwt]`."""

    clock_skew: Annotated[Duration, between("0s", "5m")] = Duration.parse("30s")
    """How far the clocks of issuer and gateway may differ; 0s to 5m. Example: `10s`."""

    consumer_claim: ClaimPath | None = None
    """Claim with the name of the consumer, as `subjects` uses it. Absent means that the caller is no consumer.
    Example: `[azp]`."""

    groups_claim: ClaimPath | None = None
    """Claim with the caller's groups: a list, or one name. Absent means none. Example: `[realm_access, roles]`."""

    scopes_claim: ClaimPath = ("scope",)
    """Claim with the scopes: a list, or one text with spaces. Example: `[scp]`."""

    ca_bundle: PemBundle | None = None
    """Certificate authorities that the issuer's server is verified with, as PEM. Absent means those of the gateway's
    system. Example: `|`."""

    constraints = (
        Rule(
            "!(has(self.jwks) && has(self.jwksUri))",
            lambda it: it.jwks is None or it.jwks_uri is None,
            "has both jwks and jwksUri",
            "remove one of them",
        ),
    )


class JwtAuthentication(ApiModel):
    """Access tokens that are JWTs. The gateway verifies them itself."""

    issuers: Annotated[tuple[TokenIssuer, ...], Field(min_length=1, max_length=16), Unique(("issuer",))]
    """The issuers whose tokens are accepted. Example: `[{issuer: "https://id.example.com"}]`."""


class CertificateOrigin(enum.StrEnum):
    """Where a client certificate comes from."""

    CONNECTION = "Connection"
    FORWARDED = "Forwarded"


class ClientCertificateAuthentication(ApiModel):
    """Client certificates.

    The first URI of a certificate is the name of the consumer, else its first DNS name.
    """

    ca_bundle: PemBundle
    """Certificate authorities of the clients, as PEM. Example: `|`."""

    source: CertificateOrigin = CertificateOrigin.CONNECTION
    """Connection: TLS on the gateway's data port. Forwarded: the header `X-Forwarded-Client-Cert` with `Cert` or
    `Chain`, from an address in the gateway's `trustedProxies`. The gateway verifies the certificate in both cases.
    Example: `Forwarded`."""


class PassthroughAuthentication(ApiModel):
    """Authentication by the MCP server itself, with its own authorization server."""
