"""What every request must satisfy before a page sees it.

That is its Host, and the size and number of its parameters.

The Host is checked against DNS rebinding: a page of an attacker whose name suddenly resolves to 127.0.0.1 would be of
one origin with the console, and could read it.
"""

import asyncio
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from ostiary_operator.console.errors import BadQuery, WrongHost
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.page_query import PageQuery

#: Probes of a kubelet name the Pod's address. They show nothing.
PROBES: Final = frozenset({"/healthz", "/readyz"})
MOST_BODY_BYTES: Final = 262_144
#: How long a form may take to arrive: it has a place among the requests in flight meanwhile.
BODY_SECONDS: Final = 10.0
_MOST_FIELDS: Final = 64
_MOST_URL_FIELDS: Final = 32
_FORM: Final = "application/x-www-form-urlencoded"
#: Others than browsers send may cost seconds, such as punycode.
_CHARSETS: Final = frozenset({None, "utf-8", "utf8"})


def check_host(request: web.Request, options: ConsoleOptions) -> None:
    """Refuse a request for another name than ours.

    Raises:
        WrongHost: its Host is not that of the external URL or, without one, of this machine.
    """
    if request.path in PROBES:
        return
    given = request.headers.getall("Host", [])
    if len(given) != 1 or not _is_ours(given[0].lower(), options):
        wanted = options.external_url or f"http://127.0.0.1:{options.port}"
        raise WrongHost(f"the console answers under {wanted} only")


def _is_ours(host: str, options: ConsoleOptions) -> bool:
    if options.authority:
        default = ":443" if options.is_secure else ":80"
        return host.removesuffix(default) == options.authority
    return _is_loopback(host)


def _is_loopback(host: str) -> bool:
    """Return whether a Host names this machine.

    Its port is free, since a tunnel may use another one.
    """
    if "@" in host:
        return False
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def query_of(request: web.Request) -> PageQuery:
    """Return the parameters of a URL.

    Raises:
        BadQuery: there are too many, or one occurs twice.
    """
    return _once(list(request.query.items()), most=_MOST_URL_FIELDS)


async def form_of(request: web.Request) -> PageQuery:
    """Return the fields of a form.

    Raises:
        BadQuery: it is no form, has too many fields, one occurs twice, or it does not arrive in time.
        web.HTTPRequestEntityTooLarge: it is larger than 256 KiB.
    """
    if request.content_type != _FORM or "Content-Encoding" in request.headers or not _is_utf8(request):
        raise BadQuery(f"a form must be sent as {_FORM} in UTF-8, not compressed")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            fields = await request.post()
    except TimeoutError:
        raise BadQuery(f"the form did not arrive within {BODY_SECONDS:.0f} seconds: send it again") from None
    except (web.RequestPayloadError, UnicodeError, LookupError):
        raise BadQuery("the form cannot be read: send it whole and in UTF-8") from None
    return _once([(name, value) for name, value in fields.items() if isinstance(value, str)], most=_MOST_FIELDS)


def _is_utf8(request: web.Request) -> bool:
    charset = request.charset
    return (charset.lower() if charset is not None else None) in _CHARSETS


def _once(pairs: list[tuple[str, str]], *, most: int) -> PageQuery:
    values = dict(pairs)
    if len(pairs) > most:
        raise BadQuery(f"there are more than {most} parameters: remove some")
    if len(values) != len(pairs):
        raise BadQuery("a parameter occurs twice: send each once")
    return PageQuery(values)
