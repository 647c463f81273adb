"""The refusals of callers that cannot be authenticated (RFC 9110, RFC 6750, RFC 9728).

They are the same for every invalid API key: a caller must not learn whether a key exists, expired or was removed. For
an OAuth token they say why it is not valid, and where to get one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from ostiary_gateway.errors import Refusal

CHALLENGE: Final = "Bearer"

#: Parameters of a URL by which clients of other products send a credential, in lower case and with underscores.
_QUERY_NAMES: Final = frozenset(
    {"access_token", "api_key", "apikey", "auth_token", "authorization", "bearer", "id_token", "jwt", "key", "token"}
    | {"x_api_key"}
)
_RETRY_AFTER_SECONDS: Final = 5
#: The longest list of scopes in a challenge: clients and proxies limit header values.
_SCOPE_LIMIT: Final = 2048

_MISSING: Final = "This MCP proxy needs a credential: send {expected}"
_CERTIFICATE_MISSING: Final = "This MCP proxy needs a client certificate"
_CERTIFICATE_INVALID: Final = "The client certificate is not valid here: {why}"
_INVALID: Final = "The credential in the header {header} is not valid here: {why}"
_SEVERAL: Final = "The request has several credentials: send one, in one header"
_IN_QUERY: Final = "A credential must not be in the URL, where it is logged: remove {name} and send a header"


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where a client gets a token: the URL of the proxy's metadata, and the scopes to ask for."""

    metadata: str = ""
    scopes: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The parameters of a challenge."""
        return ("resource_metadata", self.metadata), ("scope", _joined(self.scopes))


_NO_SOURCE: Final = TokenSource()


def credential_missing(expected: str, source: TokenSource = _NO_SOURCE) -> Refusal:
    """Return the refusal of a request without a credential; ``expected`` is what to send."""
    return _unauthenticated("CredentialMissing", _MISSING.format(expected=expected), bearer(source.parameters))


def header_form(header: str, scheme: str | None) -> str:
    """Return how a header with a credential is written, as a text for people."""
    return f"the header '{header}: {f'{scheme.capitalize()} ' if scheme else ''}CREDENTIAL'"


def credential_invalid(header: str, source: TokenSource = _NO_SOURCE, *, why: str = "", form: str = "") -> Refusal:
    """Return the refusal of a request whose credential no method accepts.

    ``why`` says it for an OAuth token, and holds nothing of it. ``form`` is how to send one, if it was sent otherwise.
    """
    otherwise = f"send {form}" if form else "it is unknown, expired or removed"
    message = _INVALID.format(header=header, why=why or otherwise)
    error = (("error", "invalid_token"), ("error_description", why))
    return _unauthenticated("CredentialInvalid", message, bearer((*error, *source.parameters)))


def certificate_missing() -> Refusal:
    """Return the refusal of a request where only client certificates are accepted."""
    return _unauthenticated("CredentialMissing", _CERTIFICATE_MISSING, CHALLENGE)


def certificate_invalid(source: TokenSource, *, why: str) -> Refusal:
    """Return the refusal of a client certificate that no policy accepts. ``why`` says it."""
    message = _CERTIFICATE_INVALID.format(why=why)
    return _unauthenticated("CredentialInvalid", message, bearer(source.parameters))


def insufficient_scope(source: TokenSource) -> str:
    """Return the challenge of a call that needs all scopes of ``source``."""
    return bearer((("error", "insufficient_scope"), *source.parameters))


def provider_unavailable() -> Refusal:
    """Return the 503 of a credential that cannot be verified now.

    A 401 would make clients sign in again, in vain.
    """
    return Refusal(
        503,
        "IdentityProviderUnavailable",
        "The credential cannot be verified now, because the identity provider does not answer; try again",
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )


def bearer(parameters: Iterable[tuple[str, str]]) -> str:
    """Return a challenge of the scheme Bearer. Parameters without a value are omitted."""
    written = ", ".join(f"{name}={_quoted(value)}" for name, value in parameters if value)
    return f"{CHALLENGE} {written}" if written else CHALLENGE


def several_credentials() -> Refusal:
    """Return the refusal of a request with more than one credential (RFC 6750 §3.1)."""
    return Refusal(400, "SeveralCredentials", _SEVERAL)


def credential_in_query(name: str) -> Refusal:
    """Return the refusal of a request with a credential in its URL, in parameter ``name``."""
    return Refusal(400, "CredentialInQuery", _IN_QUERY.format(name=name))


def _unauthenticated(reason: str, message: str, challenge: str) -> Refusal:
    return Refusal(401, reason, message, headers={"WWW-Authenticate": challenge})


def _joined(scopes: Iterable[str]) -> str:
    """Return scopes as one text, in a fixed order, up to a limit."""
    joined = ""
    for scope in sorted(set(scopes)):
        longer = f"{joined} {scope}" if joined else scope
        if len(longer) > _SCOPE_LIMIT:
            break
        joined = longer
    return joined


def _quoted(value: str) -> str:
    """Return a quoted string (RFC 9110 §5.6.4); what has no place in a header becomes ``?``."""
    plain = "".join(character if " " <= character <= "~" else "?" for character in value)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def check_query(target: str) -> None:
    """Refuse a URL with a credential (RFC 6750 §5.3; MCP's "Token Requirements")."""
    for part in target.partition("?")[2].split("&"):
        name = unquote(part.partition("=")[0]).lower().replace("-", "_")
        if name in _QUERY_NAMES:
            raise credential_in_query(name)
