"""The credential that a gateway sends to a server, as part of an entry.

No secret is here: its value is an entry of the gateway's Secret.
"""

from ostiary_core.contract.base import ContractDocument, Positive


class StaticCredentialConfig(ContractDocument):
    """A credential that is sent as it is: in ``header``, after ``prefix``.

    ``secret`` names an entry of the gateway's Secret.
    """

    header: str
    prefix: str = ""
    secret: str


class ClientCredentialsConfig(ContractDocument):
    """Client credentials of OAuth (RFC 6749 §4.4): the gateway gets access tokens for itself.

    ``secret`` names an entry of the gateway's Secret. ``resource`` is that of RFC 8707.
    """

    token_endpoint: str
    client_id: str
    secret: str
    scopes: tuple[str, ...] = ()
    resource: str | None = None
    audience: str | None = None


class TokenExchangeConfig(ContractDocument):
    """Token exchange (RFC 8693): the gateway exchanges each caller's token for another one.

    ``secret`` names an entry of the gateway's Secret.
    """

    token_endpoint: str
    client_id: str
    secret: str
    subject_token_type: str
    requested_token_type: str | None = None
    scopes: tuple[str, ...] = ()
    resource: str | None = None
    audience: str | None = None


class IdentityAssertionConfig(ContractDocument):
    """A short-lived JWT that names the caller, signed by a key of the gateway's Secret.

    It is sent in ``header``, after ``prefix``. ``lifetime`` is in milliseconds. ``claims`` names the claims of the
    caller that it repeats.
    """

    header: str
    prefix: str = ""
    audience: str
    lifetime: Positive
    claims: tuple[str, ...] = ()


class UpstreamCredentialConfig(ContractDocument):
    """The credential that the gateway sends to a server; exactly one member is set."""

    static: StaticCredentialConfig | None = None
    client_credentials: ClientCredentialsConfig | None = None
    identity_assertion: IdentityAssertionConfig | None = None
    token_exchange: TokenExchangeConfig | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that it needs."""
        return tuple(each.secret for each in (self.static, self.token_client) if each is not None)

    @property
    def token_client(self) -> ClientCredentialsConfig | TokenExchangeConfig | None:
        """The part that sends a secret to a token endpoint, None where there is none."""
        return self.client_credentials or self.token_exchange
