"""The application of the console: how a request passes.

``headers → log → errors → room → host → origin → viewer → page``. What ends a request earlier raises an error, which
becomes a page in the same frame, or JSON for a twin.
"""

import asyncio
import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ostiary_operator.console import request_checks, security_headers, twins
from ostiary_operator.console.access.admission import RIGHTS, SHOW, VIEWER, ViewerAdmission, admit, same_origin_only
from ostiary_operator.console.access.viewing_records import ViewingRecords
from ostiary_operator.console.access_log import access_log
from ostiary_operator.console.error_pages import ErrorPages
from ostiary_operator.console.errors import PageNotFound, TooBusy
from ostiary_operator.console.in_flight import InFlight
from ostiary_operator.console.live_streams import LiveStream, LiveStreams
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.page import Page, PageContext, PageFile, PageView
from ostiary_operator.console.pages import PAGES, STREAMS
from ostiary_operator.console.rendering import SiteView, Templates
from ostiary_operator.console.sources.protocols import ConsoleSources
from ostiary_operator.console.static_files import StaticFiles

_HTML: Final = "text/html"
#: How long a page may take.
PAGE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What a console is made of: its options, who may enter, and what pages read.

    ``records`` say who looked at the calls of others, in a console for several people.
    """

    options: ConsoleOptions
    admission: ViewerAdmission
    sources: ConsoleSources
    pages: Sequence[Page] = PAGES
    streams: Sequence[LiveStream] = STREAMS
    records: ViewingRecords | None = None


def application(parts: ConsoleParts) -> web.Application:
    """Return the application."""
    static = StaticFiles()
    templates = Templates(static)
    made = web.Application(
        client_max_size=request_checks.MOST_BODY_BYTES,
        middlewares=[
            access_log,
            ErrorPages(templates, functools.partial(site_of, parts=parts)).middleware,
            InFlight().middleware,
            _checks(parts.options),
            admit(parts.admission, parts.records),
        ],
    )
    made[SHOW] = functools.partial(_shown, templates)
    security_headers.add_to(made, parts.options)
    made.add_routes([web.get("/static/{name}", static.serve), *parts.admission.routes()])
    made.add_routes([web.get(path, _probe) for path in sorted(request_checks.PROBES)])
    for page in parts.pages:
        made.add_routes(_routes(page, parts, templates))
    live = LiveStreams()
    for stream in parts.streams:
        made.router.add_get(stream.path, _served_stream(stream, live, parts), allow_head=False)
    return made


def _shown(templates: Templates, view: PageView) -> web.Response:
    """Return a page for a request that has no viewer yet."""
    html = templates.page(view, title=view.title, site=None, query={})
    return web.Response(text=html, content_type=_HTML, status=view.status)


def _checks(options: ConsoleOptions) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_checks.check_host(request, options)
        if request.method not in {"GET", "HEAD"}:
            same_origin_only(request)
        return await handler(request)

    return middleware


async def _probe(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _routes(page: Page, parts: ConsoleParts, templates: Templates) -> list[web.RouteDef]:
    served = _ServedPage(page, parts, templates)
    # The twin first: `{name}` of a page would match its path, too.
    routes = [web.get(page.twin, served.as_twin), web.get(page.path, served.as_page)]
    if page.accepts_forms:
        routes += [web.post(page.twin, served.as_twin), web.post(page.path, served.as_page)]
    return routes


def _served_stream(stream: LiveStream, live: LiveStreams, parts: ConsoleParts) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await live.serve(stream, await _context(request, parts), request)

    return handler


class _ServedPage:
    """One page, as HTML and as JSON."""

    def __init__(self, page: Page, parts: ConsoleParts, templates: Templates) -> None:
        self._page = page
        self._parts = parts
        self._templates = templates

    async def as_page(self, request: web.Request) -> web.Response:
        """Answer with the page."""
        return await self._as_page(request, await _context(request, self._parts))

    async def _as_page(self, request: web.Request, context: PageContext) -> web.Response:
        view = await _built(self._page, context)
        if isinstance(view, PageFile):
            return _download(view)
        html = self._templates.page(
            view,
            title=self._page.title,
            site=site_of(request, parts=self._parts),
            twin=_twin_url(request) if context.form is None else "",
            query=context.query.values,
        )
        return web.Response(text=html, content_type=_HTML, status=view.status)

    async def as_twin(self, request: web.Request) -> web.Response:
        """Answer with the model of the page."""
        context = await _context(request, self._parts)
        try:
            view = await _built(self._page, context)
        except PageNotFound:
            whole = self._of_whole_name(request, context)
            if whole is None:
                raise
            return await self._as_page(request, whole)
        if isinstance(view, PageFile):
            return _download(view)
        return web.Response(body=twins.twin(view.model), content_type="application/json", status=view.status)

    def _of_whole_name(self, request: web.Request, context: PageContext) -> PageContext | None:
        """Return the context of the object whose name ends in ``.json``, if a browser means it."""
        if not self._page.path.endswith("/{name}") or "text/html" not in request.headers.get("Accept", ""):
            return None
        return replace(context, parameters={**context.parameters, "name": f"{context.parameters['name']}.json"})


async def _built(page: Page, context: PageContext) -> PageView | PageFile:
    """Return what a page shows.

    Raises:
        TooBusy: it took too long; what it waits for has shorter deadlines of its own.
    """
    try:
        async with asyncio.timeout(PAGE_SECONDS):
            return await page.build(context)
    except TimeoutError:
        raise TooBusy(f"the page was not ready after {PAGE_SECONDS:.0f} seconds: try again, with a filter") from None


async def _context(request: web.Request, parts: ConsoleParts) -> PageContext:
    return PageContext(
        viewer=request[VIEWER],
        rights=request[RIGHTS],
        sources=parts.sources,
        query=request_checks.query_of(request),
        now=time.time(),
        parameters=dict(request.match_info),
        form=await request_checks.form_of(request) if request.method == "POST" else None,
    )


def site_of(request: web.Request, *, parts: ConsoleParts) -> SiteView | None:
    """Return what surrounds a page for the viewer of a request; None without a viewer."""
    viewer = request.get(VIEWER)
    if viewer is None:
        return None
    navigation = [page for page in parts.pages if page.in_navigation]
    return SiteView(navigation, viewer, request.rel_url.raw_path, can_sign_out=bool(viewer.username))


def _twin_url(request: web.Request) -> str:
    path = request.rel_url.raw_path
    twin = "/index.json" if path == "/" else f"{path}.json"
    return f"{twin}?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else twin


def _download(file: PageFile) -> web.Response:
    disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {"Content-Disposition": disposition}
    return web.Response(text=file.content, content_type=file.media_type, headers=headers)
