"""Admits the user of this machine: by a link that works once, then by a cookie.

Scripts send a fixed token instead.

The link stands in the terminal, which only its user reads. It is spent when it is opened, so that one in a history or
a log opens nothing. When it is spent and a browser without a cookie comes, a new one is announced: those who see
the terminal may have it.
"""

import hmac
import os
from collections.abc import Callable, Sequence
from secrets import token_urlsafe
from typing import Final, NoReturn
from urllib.parse import quote

from aiohttp import web

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.access.admission import SIGN_IN, SIGN_OUT, bearer_of, same_origin_only, see_other
from ostiary_operator.console.access.rights import LOCAL_VIEWER, AllRights, Viewer, ViewerRights
from ostiary_operator.console.access.sealed_cookies import KEY_BYTES, SealedCookie

#: The parameter of the link.
ONCE: Final = "once"
#: How long a browser stays signed in.
SESSION_SECONDS: Final = 8 * 60 * 60
_RIGHTS: Final = AllRights()


class OneTimeAdmission:
    """Admits the user of this machine.

    ``announce`` shows a path with a one-time token in the terminal. ``fixed`` is the token of ``--console-token``.
    """

    def __init__(self, announce: Callable[[str], None], *, fixed: SecretBytes | None = None) -> None:
        self._announce = announce
        self._fixed = fixed
        self._key = SecretBytes(os.urandom(KEY_BYTES))
        self._cookies: dict[int, SealedCookie] = {}
        self._token: SecretBytes | None = None

    def announce_link(self) -> None:
        """Make a link and announce it; the former one opens nothing any more."""
        token = token_urlsafe(32)
        self._token = SecretBytes(token.encode())
        self._announce(f"{SIGN_IN}?{ONCE}={quote(token)}")

    async def identify(self, request: web.Request) -> Viewer | None:
        """Return the local viewer for a cookie of this process, or for the fixed token."""
        given = bearer_of(request)
        if given is not None:
            return LOCAL_VIEWER if _same(given, self._fixed) else None
        return LOCAL_VIEWER if self._cookie(request).read(request) is not None else None

    def rights(self, viewer: Viewer) -> ViewerRights:  # noqa: ARG002  the protocol's argument
        """Return the rights to everything: it is the viewer's own machine."""
        return _RIGHTS

    def refuse(self, request: web.Request) -> NoReturn:  # noqa: ARG002  likewise
        """Answer 401, and announce a new link if the last one is spent."""
        if self._token is None:
            self.announce_link()
        raise web.HTTPUnauthorized(
            text="Open the link in the terminal where the console runs: it works once. "
            "Scripts send the token of --console-token as `Authorization: Bearer`.",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def routes(self) -> Sequence[web.RouteDef]:
        """Return the link's path, and the sign-out."""
        return (web.get(SIGN_IN, self._sign_in), web.post(SIGN_OUT, self._sign_out))

    async def close(self) -> None:
        """Nothing is open."""

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        if self._cookie(request).read(request) is not None:
            return see_other("/")
        if not _same(request.query.get(ONCE, ""), self._token):
            self.refuse(request)
        self._token = None
        response = see_other("/")
        self._cookie(request).put(response, {})
        return response

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        same_origin_only(request)
        response = see_other("/")
        self._cookie(request).end(request, response)
        return response

    def _cookie(self, request: web.Request) -> SealedCookie:
        """Return the cookie of the port: browsers send cookies of one host to all of its ports."""
        transport = request.transport
        port = int(transport.get_extra_info("sockname")[1]) if transport is not None else 0
        found = self._cookies.get(port)
        if found is None:
            name = f"ostiary-console-{port}"
            found = SealedCookie.of(name, self._key, seconds=SESSION_SECONDS, is_secure=False)
            self._cookies[port] = found
        return found


def _same(given: str, wanted: SecretBytes | None) -> bool:
    # Headers that are not UTF-8 arrive with surrogates.
    return wanted is not None and hmac.compare_digest(given.encode(errors="surrogateescape"), wanted.reveal())
