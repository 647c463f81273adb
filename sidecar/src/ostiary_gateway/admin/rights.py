"""Which bearer opens which paths of the admin port.

The admin bearer opens everything, the evidence bearer only ``/evidence``. Both are in the gateway's Secret; the second
is in a Secret of its own, too, so that the right to look at evidence is not the right to read keys. For evidence the
token may be in a header of its own, since the API server passes requests on to Pods without ``Authorization``.
"""

import enum
import hmac
from collections.abc import Awaitable, Callable, Set
from functools import wraps
from typing import Final, TypeAlias

from aiohttp import web

from ostiary_core.evidence.document import TOKEN_HEADER
from ostiary_gateway.config.keyring import Keyring

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LONGEST: Final = 4096


class AdminRight(enum.Enum):
    """What a request needs to be answered, with the words of a refusal."""

    ADMIN = "the admin bearer token is required\n"
    EVIDENCE = "the evidence bearer token, or the admin bearer token, is required\n"


class AdminRights:
    """Judges the bearers of requests by the keys in force; ``keyring`` returns them."""

    def __init__(self, keyring: Callable[[], Keyring]) -> None:
        self._keyring = keyring

    def needed(self, right: AdminRight, handler: Handler) -> Handler:
        """Return a handler that answers 401 to requests without a right."""

        @wraps(handler)
        async def judged(request: web.Request) -> web.StreamResponse:
            return await handler(request) if self.has(right, request) else _refused(right)

        return judged

    def has(self, right: AdminRight, request: web.Request) -> bool:
        """Return whether a request bears a token that gives a right."""
        given, keys = [_bearer(request)], self._keyring()
        known: Set[bytes] = keys.admin_tokens
        if right is AdminRight.EVIDENCE:
            given.append(_token(request.headers.get(TOKEN_HEADER, "")))
            known |= keys.evidence_tokens
        found = [hmac.compare_digest(token, each) for token in given for each in known]
        return any(found)


def _bearer(request: web.Request) -> bytes:
    """Return the token of ``Authorization``; empty, which is no token, without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return _token(token) if scheme.lower() == "bearer" else b""


def _token(text: str) -> bytes:
    return text.strip()[:_LONGEST].encode("utf-8", "replace")


def _refused(right: AdminRight) -> web.Response:
    return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"}, text=right.value)
