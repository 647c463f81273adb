"""How the callers of a proxy are authenticated, as part of a policy document.

No secret is here: API keys are SHA-256 digests, and a secret that the gateway must send itself is named by its entry in
the gateway's Secret.
"""

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Count, Positive

#: Headers with credentials, which no condition reads. Those in which a policy's methods read credentials are added.
HIDDEN_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})

_SHA256_HEX: Final = "^[0-9a-f]{64}$"
Sha256: TypeAlias = Annotated[str, Field(pattern=_SHA256_HEX)]


class ApiKeyConfig(ContractDocument):
    """One valid API key.

    ``consumer`` is ``namespace/name``; ``expires_at`` is in epoch seconds, None for never.
    """

    digest: Sha256
    consumer: str
    groups: list[str] = Field(default_factory=list)
    expires_at: Count | None = None


class ApiKeysConfig(ContractDocument):
    """API keys, and where a request carries one.

    ``header`` is in lower case. ``scheme`` precedes the key in it, None where the value is the key alone.
    """

    header: str
    scheme: str | None = None
    keys: list[ApiKeyConfig] = Field(default_factory=list)


class ClaimsConfig(ContractDocument):
    """The claims that contain the identity, as paths of member names.

    Absent ones are not read. ``scopes`` may lead to a list, or to one string with spaces (RFC 8693 §4.2).
    """

    consumer: list[str] | None = None
    groups: list[str] | None = None
    scopes: list[str] = Field(default_factory=lambda: ["scope"])


class FetchConfig(ContractDocument):
    """How the gateway connects to an authorization server.

    ``ca`` are certificates as PEM, None for those of the system; ``addresses`` are CIDRs that the server may resolve to
    although the default forbids them.
    """

    ca: str | None = None
    addresses: list[str] = Field(default_factory=list)


class IssuerConfig(ContractDocument):
    """One issuer of access tokens that are JWTs (RFC 9068, RFC 7519).

    ``audiences`` None means the resource identifiers of the proxy. Keys come from ``jwks`` (a JWK Set as JSON), else
    from ``jwks_uri``, else from the issuer's metadata (RFC 8414, OpenID Connect Discovery). ``clock_skew`` is in
    milliseconds. ``types`` are the accepted values of the header ``typ``, None for all.
    """

    issuer: str
    algorithms: list[str]
    audiences: list[str] | None = None
    jwks: str | None = None
    jwks_uri: str | None = None
    types: list[str] | None = None
    clock_skew: Count = 0
    claims: ClaimsConfig = ClaimsConfig()
    fetch: FetchConfig = FetchConfig()


class IntrospectionConfig(ContractDocument):
    """Introspection of opaque tokens (RFC 7662).

    ``endpoint`` None means that of the issuer's metadata, at the issuer's origin. ``client_secret`` names an entry of
    the gateway's Secret. A token that is active is accepted for ``cache`` milliseconds at most without another request;
    ``timeout`` is in milliseconds.
    """

    issuer: str
    endpoint: str | None = None
    client_id: str
    client_secret: str
    audiences: list[str] | None = None
    cache: Count
    timeout: Positive
    claims: ClaimsConfig = ClaimsConfig()
    fetch: FetchConfig = FetchConfig()


class ClientCertificateConfig(ContractDocument):
    """Client certificates: ``ca`` verifies them.

    ``forwarded`` says that trusted proxies forward them (``X-Forwarded-Client-Cert``) instead of TLS on the data port.
    """

    ca: str
    forwarded: bool = False


class AuthenticationConfig(ContractDocument):
    """The methods of one policy: a caller is authenticated by any of them.

    ``passthrough`` leaves authentication to the upstream server; ``anonymous`` admits callers without a credential.
    """

    api_keys: ApiKeysConfig | None = None
    issuers: list[IssuerConfig] = Field(default_factory=list)
    introspection: IntrospectionConfig | None = None
    client_certificate: ClientCertificateConfig | None = None
    passthrough: bool = False
    anonymous: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that it needs."""
        return (self.introspection.client_secret,) if self.introspection is not None else ()
