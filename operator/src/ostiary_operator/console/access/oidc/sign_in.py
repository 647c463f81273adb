"""The two steps that a browser takes: to the identity provider, and back with a code.

What the second step needs is in a sealed cookie of its own for ten minutes: any replica of the console can take it, and
an answer that the same browser did not ask for is refused.
"""

import base64
import hashlib
import hmac
import logging
from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from ostiary_operator.console.access.admission import SIGN_IN, see_other
from ostiary_operator.console.access.errors import SignInExpired, SignInRefused
from ostiary_operator.console.access.oidc.oidc_options import OidcOptions
from ostiary_operator.console.access.oidc.provider import OidcProvider
from ostiary_operator.console.access.oidc.user_claims import viewer_of
from ostiary_operator.console.access.rights import Viewer
from ostiary_operator.console.access.sealed_cookies import SealedCookie

_log: Final = logging.getLogger(__name__)

#: Where the provider sends browsers back to; it must be registered there, after the console's external URL.
CALLBACK: Final = f"{SIGN_IN}/callback"
#: Seconds that a person has at the provider.
PENDING_SECONDS: Final = 600
_LONGEST_PATH: Final = 1024
_LONGEST_CODE: Final = 4096
_AGAIN: Final = "open the console again to sign in"


class OidcSignIn:
    """Signs people in at one provider.

    ``callback_url`` is registered there. ``pending`` is the cookie between the two steps.
    """

    def __init__(
        self, options: OidcOptions, provider: OidcProvider, *, callback_url: str, pending: SealedCookie
    ) -> None:
        self._options = options
        self._provider = provider
        self._callback_url = callback_url
        self._pending = pending

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """Send a browser to the provider.

        Raises:
            ProviderUnavailable: it is not known where to.
        """
        metadata = await self._provider.metadata()
        state, nonce, verifier = token_urlsafe(24), token_urlsafe(24), token_urlsafe(48)
        query = {
            "response_type": "code",
            "client_id": self._options.client_id,
            "redirect_uri": self._callback_url,
            "scope": " ".join(["openid", *self._options.scopes]),
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        separator = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        response = see_other(f"{metadata.authorization_endpoint}{separator}{urlencode(query)}")
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "to": own_path(request.query.get("to", ""))}
        self._pending.put(response, kept)
        return response

    def knows(self, request: web.Request) -> bool:
        """Return whether an answer belongs to the last sign-in that this browser began."""
        begun = self._pending.read(request)
        state = request.query.get("state", "")
        return begun is not None and hmac.compare_digest(state.encode(errors="replace"), begun["state"].encode())

    async def finish(self, request: web.Request) -> tuple[Viewer, web.StreamResponse]:
        """Return who came back from the provider, and the redirect to the page that they wanted.

        Raises:
            SignInExpired: the answer belongs to no sign-in of this browser.
            SignInRefused: the provider, or what it says, does not admit them.
            ProviderUnavailable: it does not answer.
        """
        begun = self._pending.read(request)
        if begun is None or not self.knows(request):
            raise SignInExpired(f"the identity provider's answer belongs to no sign-in of this browser: {_AGAIN}")
        try:
            viewer = await self._viewer(request.query, begun)
        except SignInRefused as error:
            _log.warning("a sign-in failed: %s", error)
            raise
        response = see_other(own_path(begun["to"]))
        self._pending.end(request, response)
        return viewer, response

    async def _viewer(self, answer: Mapping[str, str], begun: Mapping[str, Any]) -> Viewer:
        await self._check_issuer(answer)
        code = answer.get("code", "")
        if "error" in answer or not 0 < len(code) <= _LONGEST_CODE:
            raise SignInRefused(
                f"the identity provider refused ({_printable(answer.get('error', 'no code'))}): {_AGAIN}"
            )
        token = await self._provider.exchange(code, verifier=begun["verifier"], redirect_uri=self._callback_url)
        claims = await self._provider.verified(token, nonce=begun["nonce"])
        return viewer_of(claims, self._options)

    async def _check_issuer(self, answer: Mapping[str, str]) -> None:
        """Refuse an answer of another provider (RFC 9207 §2.4)."""
        issuer = answer.get("iss")
        is_needed = (await self._provider.metadata()).names_issuer
        if issuer != self._options.issuer and (issuer is not None or is_needed):
            raise SignInRefused("the answer is of another identity provider")


def own_path(text: str) -> str:
    """Return a path of this console, or the first page for any other text.

    Nothing leads elsewhere after a sign-in.
    """
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isascii() and text.isprintable()
    return text if is_own and len(text) <= _LONGEST_PATH and "\\" not in text else "/"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _printable(text: str) -> str:
    return text[:50] if text.isascii() and text.isprintable() else "no reason"
