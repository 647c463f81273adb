"""The credential that the gateway sends to one server.

A static one is a header line, built once. Others are added to each request: access tokens of the gateway
(:mod:`.client_credentials`) or of a caller (:mod:`.token_exchange`), or an assertion of who calls
(:mod:`.identity_assertion`). A text from the server, which
may repeat what it was sent, passes :meth:`Credential.redacted` before it is logged or reported.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.upstream_credentials import StaticCredentialConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import CredentialMissing, UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.assertion_keys import AssertionKeys
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.client_credentials import ClientAccessTokens
from ostiary_gateway.upstream.document_client import RESPONSE_LIMIT, DocumentClient, Routing
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.identity_assertion import IdentityAssertions
from ostiary_gateway.upstream.token_exchange import ExchangedTokens

CredentialSource = Callable[[str], SecretBytes]
"""Returns a credential by its name in documents. Raises CredentialMissing where it has not arrived."""

REDACTED: Final = "[credential]"
#: A shorter secret would be found by chance in texts, and so reveal itself.
_SHORTEST: Final = 8
#: Seconds for one request to a token endpoint.
_FETCH_SECONDS: Final = 10.0


def no_credential(name: str) -> SecretBytes:
    """Have no credential.

    Raises:
        CredentialMissing: always.
    """
    raise CredentialMissing(f"the credential {name} is not in the gateway's Secret yet")


def static_line(config: StaticCredentialConfig, source: CredentialSource) -> SecretBytes:
    """Return the line of a credential that is sent as it is.

    Raises:
        CredentialMissing: it has not arrived.
        ValueError: it cannot be sent in a header; the message does not hold it.
    """
    value = source(config.secret).reveal()
    try:
        return SecretBytes(http1.private_line(config.header, config.prefix + value.decode("ascii")))
    except (UnicodeDecodeError, UpstreamFault):
        raise ValueError(f"the credential {config.secret} cannot be sent in a header") from None


def direct() -> tuple[OwnEndpoints, Egress]:
    """Connect without an egress proxy."""
    return OwnEndpoints(), Egress()


class RequestCredential(Protocol):
    """A credential that is made for each request."""

    async def line(self, caller: UpstreamCaller | None) -> bytes:
        """Return the header line of a request; empty for none.

        Raises:
            UpstreamFault: there is no credential.
        """

    def refused(self, caller: UpstreamCaller | None) -> None:
        """Forget what was sent for a caller: the server refuses it."""

    def values(self) -> Iterable[SecretBytes]:
        """Return what was sent, which may be in a text of the server."""

    def close(self) -> None:
        """Forget everything, and close connections."""


@dataclass(frozen=True, slots=True)
class CredentialMakers:
    """What credentials are made with.

    ``source`` has the gateway's Secret, ``keys`` sign identity assertions, and ``routing`` says how token endpoints are
    connected to. ``proxy`` is ``namespace/name``.
    """

    proxy: str
    source: CredentialSource = no_credential
    routing: Routing = direct
    keys: AssertionKeys = field(default_factory=lambda: AssertionKeys(dict))


def _made(document: ServerConfig, makers: CredentialMakers) -> RequestCredential | None:
    config = document.credential
    if config is None:
        return None
    if config.identity_assertion is not None:
        makers.keys.require()
        return IdentityAssertions(config.identity_assertion, makers.keys, proxy=makers.proxy)
    if config.token_client is None:
        return None
    # The rules for addresses are those of the server itself.
    client = DocumentClient(makers.routing, seconds=_FETCH_SECONDS, addresses=document.addresses, limit=RESPONSE_LIMIT)
    secret = makers.source(config.token_client.secret)
    if config.token_exchange is not None:
        return ExchangedTokens(config.token_exchange, secret, client)
    if config.client_credentials is None:
        raise AssertionError("a token endpoint is that of client credentials or of an exchange")
    return ClientAccessTokens(config.client_credentials, secret, client)


class Credential:
    """The credential of one server; without one, :attr:`line` is empty.

    ``of_request`` is set where it changes: its line is added to each request.
    """

    def __init__(self, document: ServerConfig, makers: CredentialMakers) -> None:
        """Take the values that the document names.

        Raises:
            CredentialMissing: a value has not arrived.
            ValueError: a value cannot be used.
        """
        config = document.credential
        static = config.static if config is not None else None
        self._line = static_line(static, makers.source) if static is not None else SecretBytes(b"")
        values = (makers.source(name).reveal() for name in config.secrets) if config is not None else ()
        self.of_request = _made(document, makers)
        self._hidden = tuple(SecretBytes(value) for value in values if len(value) >= _SHORTEST)
        #: Whether there is one.
        self.is_set = config is not None
        asserted = config.identity_assertion if config is not None else None
        #: The header that has it, in lower case.
        self.header = next((each.header for each in (static, asserted) if each is not None), "authorization").lower()
        #: Whether it is made for one caller.
        self.is_of_caller = config is not None and bool(config.identity_assertion or config.token_exchange)

    @property
    def line(self) -> bytes:
        """The header line of every request. Never print it."""
        return self._line.reveal()

    def refused_by(self, status: int) -> str:
        """Return the kind of fault of a status that asks for credentials.

        407 is the response of a proxy before the server.
        """
        return faults.CREDENTIAL_REFUSED if self.is_set and status != 407 else faults.UNAUTHORIZED

    def redacted(self, text: str) -> str:
        """Return a text of the server without the credential."""
        for value in self.sent():
            text = text.replace(value, REDACTED)
        return text

    def sent(self) -> Iterator[str]:
        """Yield what a text of the server may repeat, and no one may see."""
        for value in (*self._hidden, *(self.of_request.values() if self.of_request is not None else ())):
            yield value.reveal().decode("ascii", "replace")
