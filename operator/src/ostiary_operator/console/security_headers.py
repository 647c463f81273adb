"""Headers of every response: what a browser may do with it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

from ostiary_operator.console.options import ConsoleOptions

#: Nothing from elsewhere, nothing inline, no frame, and no string that becomes markup or code.
POLICY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self'; "
    "connect-src 'self'; "
    "form-action 'self'; "
    "base-uri 'none'; "
    "frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        # Not `no-referrer`: then browsers send `Origin: null` with our own forms.
        "Referrer-Policy": "same-origin",
        "Server": "ostiary",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex",
    }
)
_A_YEAR: Final = "max-age=31536000"


def add_to(application: web.Application, options: ConsoleOptions) -> None:
    """Let an application send the headers with every response, of errors and streams, too."""

    async def prepare(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        # Pages show what one viewer may see, so nothing keeps them unless a file says so itself.
        response.headers.setdefault("Cache-Control", "no-store")
        if options.is_secure:
            response.headers["Strict-Transport-Security"] = _A_YEAR

    application.on_response_prepare.append(prepare)
