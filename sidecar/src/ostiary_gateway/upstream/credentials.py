"""The credential that the gateway sends to one server.

A static one is a header line, built once. Access tokens are added to each request (:mod:`.client_credentials`). A text
from the server, which may repeat what it was sent, passes :meth:`Credential.redacted` before it is logged or reported.
"""

from collections.abc import Callable
from typing import Final

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.upstream_credentials import StaticCredentialConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import CredentialMissing, UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.client_credentials import ClientAccessTokens
from ostiary_gateway.upstream.document_client import DocumentClient, Routing
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.http1 import request_head as http1

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


def _tokens(document: ServerConfig, source: CredentialSource, routing: Routing) -> ClientAccessTokens | None:
    config = document.credential.client_credentials if document.credential is not None else None
    if config is None:
        return None
    # The rules for addresses are those of the server itself.
    client = DocumentClient(routing, seconds=_FETCH_SECONDS, addresses=document.addresses)
    return ClientAccessTokens(config, source(config.secret), client)


class Credential:
    """The credential of one server; without one, :attr:`line` is empty.

    ``tokens`` are set where it changes, and its line is added to each request.
    """

    def __init__(self, document: ServerConfig, source: CredentialSource, routing: Routing = direct) -> None:
        """Take the values that the document names.

        Raises:
            CredentialMissing: a value has not arrived.
            ValueError: a value cannot be used.
        """
        config = document.credential
        static = config.static if config is not None else None
        self._line = static_line(static, source) if static is not None else SecretBytes(b"")
        values = (source(name).reveal() for name in config.secrets) if config is not None else ()
        self.tokens = _tokens(document, source, routing)
        self._hidden = tuple(SecretBytes(value) for value in values if len(value) >= _SHORTEST)
        #: Whether there is one.
        self.is_set = config is not None

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
        token = self.tokens.token if self.tokens is not None else None
        for value in (*self._hidden, *((token.value,) if token is not None else ())):
            text = text.replace(value.reveal().decode("ascii", "replace"), REDACTED)
        return text
