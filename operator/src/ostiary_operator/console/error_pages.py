"""Turns what ends a request early into a page in the usual frame, or into JSON for a twin."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ostiary_core.errors import OstiaryError
from ostiary_operator.console import twins
from ostiary_operator.console.errors import ConsoleError
from ostiary_operator.console.hostile_text import one_line
from ostiary_operator.console.page import PageView
from ostiary_operator.console.rendering import SiteView, Templates
from ostiary_operator.console.sources.protocols import SourceUnavailable
from ostiary_operator.kube.errors import ClusterError

_log: Final = logging.getLogger(__name__)
_WORDS: Final = {
    401: ("Sign in", ""),
    403: ("Refused", ""),
    404: ("Not found", "There is no such page. The names of proxies are case-sensitive."),
    405: ("Not possible", "This page only reads: open it with GET."),
    413: ("Too large", "A form may have 256 KiB: shorten it."),
}
#: Headers of an error that say what to do.
_KEPT: Final = frozenset({"Allow", "WWW-Authenticate"})
_BUG: Final = "An error of the console itself: its log says more. Please report it."


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """What an error page says, and its twin."""

    title: str
    message: str
    status: int


class ErrorPages:
    """Shows errors to a viewer, in the frame of their pages if it is known who looks."""

    def __init__(self, templates: Templates, site: Callable[[web.Request], SiteView | None]) -> None:
        self._templates = templates
        self._site = site

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request; an error becomes its response."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status not in _WORDS:
                raise
            title, words = _WORDS[error.status]
            model = ErrorModel(title, words or error.text or title, error.status)
            return self._response(request, model, {name: error.headers[name] for name in _KEPT & set(error.headers)})
        except OstiaryError as error:
            return self._response(request, _model(error))
        except Exception:  # noqa: BLE001  a bug in one page must not end the connection without a word
            _log.exception("%s %s failed", request.method, one_line(request.rel_url.raw_path))
            return self._response(request, ErrorModel(ConsoleError.title, _BUG, 500))

    def _response(
        self, request: web.Request, model: ErrorModel, headers: Mapping[str, str] = MappingProxyType({})
    ) -> web.Response:
        if model.status == 503:
            headers = {"Retry-After": "1"}
        if request.path.endswith(".json"):
            body = twins.twin(model)
            return web.Response(body=body, content_type="application/json", status=model.status, headers=headers)
        view = PageView("error.html", model, status=model.status)
        html = self._templates.page(view, title=model.title, site=self._site(request), query={})
        return web.Response(text=html, content_type="text/html", status=model.status, headers=headers)


def _model(error: OstiaryError) -> ErrorModel:
    if isinstance(error, ConsoleError):
        return ErrorModel(error.title, str(error), error.status)
    if isinstance(error, SourceUnavailable | ClusterError):
        return ErrorModel("A source does not answer", str(error), 503)
    _log.error("an error without a page", exc_info=error)
    return ErrorModel(ConsoleError.title, _BUG, 500)
