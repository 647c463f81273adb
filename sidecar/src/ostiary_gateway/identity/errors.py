"""Why a credential is not accepted.

The messages of InvalidToken go to the caller, and hold nothing of the credential.

OstiaryError (core)
├── InvalidToken             the credential is not valid here: 401
└── IdentityUnavailable      whether it is valid cannot be found out now: 503
"""

from ostiary_core.errors import OstiaryError


class InvalidToken(OstiaryError):
    """A credential is malformed, expired, of another audience or issuer, or revoked."""


class IdentityUnavailable(OstiaryError):
    """The identity provider cannot be reached, so that no credential of it can be verified."""
