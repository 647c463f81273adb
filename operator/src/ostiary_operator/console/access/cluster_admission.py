"""Admits people and programs whom the API server knows, each with their own rights.

A browser signs in at the identity provider of OIDC or, where there is none, by a form that takes a token. Then it has
a sealed cookie with its user and groups, and no token. A program sends a token with each request.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import quote

from aiohttp import web

from ostiary_core.json_web_tokens.signed_token import SignedToken, TokenNotValid
from ostiary_operator.console.access.admission import (
    SHOW,
    SIGN_IN,
    SIGN_OUT,
    bearer_of,
    see_other,
    wants_page,
)
from ostiary_operator.console.access.errors import SignInRefused
from ostiary_operator.console.access.oidc.sign_in import CALLBACK, OidcSignIn, own_path
from ostiary_operator.console.access.rights import Viewer, ViewerRights
from ostiary_operator.console.access.sealed_cookies import CookieTooLarge, SealedCookie
from ostiary_operator.console.access.subject_reviews import SubjectReviews
from ostiary_operator.console.access.token_reviews import TokenReviews
from ostiary_operator.console.page import PageView
from ostiary_operator.console.request_checks import form_of

#: How long a browser stays signed in, at most.
SESSION_SECONDS: Final = 8 * 60 * 60
#: Where the form with a token is sent to.
TOKEN_FORM: Final = f"{SIGN_IN}/token"
SIGNED_OUT: Final = f"{SIGN_IN}/signed-out"


@dataclass(frozen=True, slots=True)
class SignInModel:
    """What the page to sign in shows.

    ``to`` is where it leads to, ``problem`` why the last try failed.
    """

    to: str
    problem: str = ""
    has_provider: bool = False
    takes_token: bool = False
    is_signed_out: bool = False


@dataclass(slots=True)
class ClusterAdmission:
    """Admits the viewers of a console in a cluster.

    ``sign_in`` is None without an identity provider, ``tokens`` where no tokens are taken. ``sessions`` is the cookie
    of browsers that signed in. ``on_close`` are called at the end.
    """

    reviews: SubjectReviews
    sessions: SealedCookie
    sign_in: OidcSignIn | None = None
    tokens: TokenReviews | None = None
    on_close: Sequence[Callable[[], Awaitable[None]]] = ()

    async def identify(self, request: web.Request) -> Viewer | None:
        """Return the viewer of a request, by its token or else by its cookie."""
        token = bearer_of(request)
        if token is not None:
            return await self.tokens.viewer(token) if self.tokens is not None else None
        content = self.sessions.read(request)
        return _viewer_of(content) if content is not None else None

    def rights(self, viewer: Viewer) -> ViewerRights:
        """Return the rights of a viewer, as the API server judges them."""
        return self.reviews.of(viewer)

    def refuse(self, request: web.Request) -> NoReturn:
        """Send a browser to the sign-in, and answer 401 to a program."""
        if wants_page(request) and request.method == "GET" and "Authorization" not in request.headers:
            raise web.HTTPSeeOther(f"{SIGN_IN}?to={quote(own_path(request.rel_url.raw_path_qs), safe='')}")
        words = "Sign in with a browser."
        if self.tokens is not None:
            words = "Send a token that the API server accepts as `Authorization: Bearer`, or sign in with a browser."
        raise web.HTTPUnauthorized(text=words, headers={"WWW-Authenticate": "Bearer"})

    def routes(self) -> Sequence[web.RouteDef]:
        """Return what it serves."""
        found = [
            web.get(SIGN_IN, self._begin),
            web.get(SIGNED_OUT, self._signed_out),
            web.post(SIGN_OUT, self._sign_out),
        ]
        if self.sign_in is not None:
            found.append(web.get(CALLBACK, self._callback))
        if self.tokens is not None:
            found += [web.get(TOKEN_FORM, self._form), web.post(TOKEN_FORM, self._take_token)]
        return found

    async def close(self) -> None:
        """Give up open questions, and close connections."""
        await self.reviews.close()
        for each in self.on_close:
            await each()

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        if self.sign_in is not None:
            return await self.sign_in.begin(request)
        return await self._form(request)

    async def _callback(self, request: web.Request) -> web.StreamResponse:
        if self.sign_in is None:
            raise web.HTTPNotFound
        if request.query.get("state") and self.sessions.read(request) is not None and not self.sign_in.knows(request):
            return see_other("/")  # of several tabs that signed in at once, the last one did it for all
        viewer, response = await self.sign_in.finish(request)
        self._admit(response, viewer, until=None)
        return response

    async def _form(self, request: web.Request) -> web.Response:
        return self._page(request, SignInModel(own_path(request.query.get("to", ""))))

    async def _take_token(self, request: web.Request) -> web.StreamResponse:
        fields = (await form_of(request)).values
        token, to = fields.get("token", "").strip(), own_path(fields.get("to", ""))
        viewer = await self.tokens.viewer(token) if self.tokens is not None else None
        if viewer is None:
            return self._page(request, SignInModel(to, "The API server does not accept this token."), status=401)
        response = see_other(to)
        self._admit(response, viewer, until=_end_of(token))
        return response

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        response = see_other(SIGNED_OUT)
        self.sessions.end(request, response)
        return response

    async def _signed_out(self, request: web.Request) -> web.Response:
        return self._page(request, SignInModel("/", is_signed_out=True))

    def _admit(self, response: web.StreamResponse, viewer: Viewer, *, until: float | None) -> None:
        try:
            self.sessions.put(response, _content_of(viewer), until=until)
        except CookieTooLarge:
            raise SignInRefused(
                f"you are in {len(viewer.groups)} groups, more than a cookie holds: "
                "let the identity provider send fewer, such as those with a prefix"
            ) from None

    def _page(self, request: web.Request, model: SignInModel, *, status: int = 200) -> web.Response:
        model = SignInModel(
            model.to,
            model.problem,
            has_provider=self.sign_in is not None,
            takes_token=self.tokens is not None,
            is_signed_out=model.is_signed_out,
        )
        title = "Signed out" if model.is_signed_out else "Sign in"
        return request.app[SHOW](PageView("sign_in.html", model, title=title, status=status))


def _content_of(viewer: Viewer) -> dict[str, Any]:
    extra = {name: list(values) for name, values in viewer.extra.items()}
    return {"u": viewer.username, "g": list(viewer.groups), "i": viewer.uid, "x": extra}


def _viewer_of(content: dict[str, Any]) -> Viewer:
    extra = {name: tuple(values) for name, values in content["x"].items()}
    return Viewer(content["u"], tuple(content["g"]), content["i"], extra)


def _end_of(token: str) -> float | None:
    """Return when a token that was accepted ends; None where it does not say so."""
    try:
        end = SignedToken.parse(token).claims.get("exp")
    except TokenNotValid:
        return None
    return float(end) if isinstance(end, int | float) else None
