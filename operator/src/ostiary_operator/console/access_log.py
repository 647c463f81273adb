"""One line for each request: who looked at which page, and how long it took.

A query is left out: it holds what viewers search for and, at the sign-in, codes and tokens.
"""

import logging
import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ostiary_operator.console.access.admission import VIEWER
from ostiary_operator.console.hostile_text import one_line
from ostiary_operator.console.request_checks import PROBES

_log: Final = logging.getLogger(__name__)


@web.middleware
async def access_log(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request, and note it at level INFO. Probes are not noted."""
    if request.path in PROBES or not _log.isEnabledFor(logging.INFO):
        return await handler(request)
    begin, status = time.monotonic(), 499  # as nginx counts a browser that has gone
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    else:
        return response
    finally:
        _note(request, status, time.monotonic() - begin)


def _note(request: web.Request, status: int, seconds: float) -> None:
    viewer = request.get(VIEWER)
    _log.info(
        "%s %s %d %.0f ms viewer=%s",
        request.method,
        one_line(request.rel_url.raw_path),
        status,
        seconds * 1000,
        one_line(viewer.name) if viewer is not None else "-",
    )
