"""Attributes each request to a viewer, before any page sees it.

The application adds :func:`admit` as a middleware and the routes of its admission. A page then reads
``request[VIEWER]`` and ``request[RIGHTS]``.
"""

from collections.abc import Sequence
from typing import Final, NoReturn, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ostiary_operator.console.access.rights import Viewer, ViewerRights
from ostiary_operator.console.access.viewing_records import ViewingRecords
from ostiary_operator.console.page import PageView


class PageShower(Protocol):
    """Renders a page for a request of which it is not known yet who looks."""

    def __call__(self, view: PageView) -> web.Response:
        """Return the response with the page."""
        ...


#: The viewer of a request, and what they may see.
VIEWER: Final = web.RequestKey("viewer", Viewer)
RIGHTS: Final = web.RequestKey("rights", ViewerRights)

#: The application puts it there.
SHOW: Final = web.AppKey("show", PageShower)

#: Where a viewer signs in and out. Everything below it is the admission's.
SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"
#: What needs no viewer: probes, signing in and out, and below ``/static/`` the files that all pages share.
_OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", SIGN_IN, SIGN_OUT})


class ViewerAdmission(Protocol):
    """One way to find out who looks."""

    async def identify(self, request: web.Request) -> Viewer | None:
        """Return the viewer of a request by its cookie or bearer token; None without a valid one.

        Raises:
            ClusterError: whether the credential is valid cannot be judged now.
        """
        ...

    def rights(self, viewer: Viewer) -> ViewerRights:
        """Return the rights of a viewer."""
        ...

    def refuse(self, request: web.Request) -> NoReturn:
        """End a request without a viewer.

        Raises:
            HTTPException: a redirect to the sign-in for a browser, else 401 with a text that says what to do.
        """
        ...

    def routes(self) -> Sequence[web.RouteDef]:
        """Return what it serves below ``/sign-in`` and at ``/sign-out``."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


def admit(admission: ViewerAdmission, records: ViewingRecords | None = None) -> Middleware:
    """Return the middleware that lets only requests of a viewer through.

    ``records`` say who looked at the calls of others; None on one's own machine.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_open(request.path):
            return await handler(request)
        viewer = await admission.identify(request)
        if viewer is None:
            admission.refuse(request)
        request[VIEWER] = viewer
        request[RIGHTS] = admission.rights(viewer)
        if records is not None:
            return await records.handle(request, viewer, handler)
        return await handler(request)

    return middleware


def is_open(path: str) -> bool:
    """Return whether a path needs no viewer."""
    return path in _OPEN_PATHS or path.startswith(("/static/", f"{SIGN_IN}/"))


def wants_page(request: web.Request) -> bool:
    """Return whether the sender of a request is a browser that shows a page."""
    return "text/html" in request.headers.get("Accept", "") and not request.path.endswith(".json")


def bearer_of(request: web.Request) -> str | None:
    """Return the bearer token of a request, None without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def see_other(path: str) -> web.Response:
    """Return the redirect to a page of the console."""
    return web.Response(status=303, headers={"Location": path})


def same_origin_only(request: web.Request) -> None:
    """Refuse a request that a page of another site made (``Sec-Fetch-Site``, else ``Origin``).

    Raises:
        HTTPForbidden: it is one.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    is_own = site in {"same-origin", "none"} if site is not None else origin in {None, _origin(request)}
    if not is_own:
        raise web.HTTPForbidden(text="This request comes from a page of another site: use the console's own pages.")


def _origin(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"
