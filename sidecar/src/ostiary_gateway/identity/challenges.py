"""The refusals of callers that cannot be authenticated (RFC 9110 §11, RFC 6750 §3).

They are the same for every invalid credential: a caller must not learn whether a key exists, expired or was removed.
"""

from typing import Final

from ostiary_gateway.errors import Refusal

CHALLENGE: Final = "Bearer"

_MISSING: Final = "This MCP proxy needs a credential: send one in the header {header}"
_INVALID: Final = "The credential in the header {header} is not valid here: it is unknown, expired or removed"
_SEVERAL: Final = "The request has several credentials: send one, in one header"
_IN_QUERY: Final = "A credential must not be in the URL, where it is logged: remove {name} and send a header"


def credential_missing(header: str) -> Refusal:
    """Return the refusal of a request without a credential, expected in ``header``."""
    return _unauthenticated("CredentialMissing", _MISSING.format(header=header), CHALLENGE)


def credential_invalid(header: str) -> Refusal:
    """Return the refusal of a request whose credential no method accepts."""
    return _unauthenticated("CredentialInvalid", _INVALID.format(header=header), f'{CHALLENGE} error="invalid_token"')


def several_credentials() -> Refusal:
    """Return the refusal of a request with more than one credential (RFC 6750 §3.1)."""
    return Refusal(400, "SeveralCredentials", _SEVERAL)


def credential_in_query(name: str) -> Refusal:
    """Return the refusal of a request with a credential in its URL, in parameter ``name``."""
    return Refusal(400, "CredentialInQuery", _IN_QUERY.format(name=name))


def _unauthenticated(reason: str, message: str, challenge: str) -> Refusal:
    return Refusal(401, reason, message, headers={"WWW-Authenticate": challenge})
