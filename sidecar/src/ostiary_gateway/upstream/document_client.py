"""Fetches small JSON documents: key sets, metadata, results of introspection, tokens.

The rules of upstream servers apply to every connection (:mod:`.allowed_addresses`, :mod:`.egress`). In addition: only
HTTPS, except within the cluster; no redirect; one time limit for the whole fetch, and limits
of its bytes and its values.
"""

import asyncio
import base64
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from yarl import URL

from ostiary_core import json_weight, strict_json
from ostiary_core.errors import OstiaryError, StrictJSONError
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.media_types import JSON
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints, networks
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.dialer import Dialer
from ostiary_gateway.upstream.http1.pool import Pool
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.tls_contexts import client_context

#: The most bytes of a document.
DOCUMENT_LIMIT: Final = 512 * 1024
#: The most bytes of the response to a form: a token, or what is known about one. That is kept with the token.
RESPONSE_LIMIT: Final = 64 * 1024
#: The most weight of a document. It is parsed at once, so it must not delay the requests of others.
_MOST_WEIGHT: Final = 5_000 * json_weight.UNIT
_CONNECTIONS: Final = 8
_KEEP_SECONDS: Final = 4.0
#: A client has one server, or two: an issuer and the host of its keys.
_SERVERS: Final = 4
_FORM: Final = "application/x-www-form-urlencoded"
#: Kubernetes serves its keys as application/jwk-set+json only.
_HEADERS: Final = {"Accept": f"{JSON}, */*;q=0.1", "Accept-Encoding": "identity"}
#: Statuses with which a token endpoint refuses a request.
_REFUSALS: Final = frozenset({400, 401, 403})
_ERROR_CODE: Final = re.compile("[a-z_]{1,64}")
_INSIDE: Final = (".svc", ".svc.cluster.local")

#: Returns how connections are made now: the addresses that are refused, and the egress proxy.
Routing = Callable[[], tuple[OwnEndpoints, Egress]]


class DocumentUnavailable(OstiaryError):
    """A document cannot be fetched now, or is not one. The message holds no content of it."""


class DocumentRefused(DocumentUnavailable):
    """The server refuses a request of an OAuth client.

    ``code`` is its error code (RFC 6749 §5.2), empty for none.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class DocumentClient:
    """Fetches documents within ``seconds``. Must be used within one event loop.

    ``ca`` are certificate authorities as PEM, None for those of the system. ``addresses`` are CIDRs that a server may
    resolve to although the default forbids them. ``only_public`` forbids private networks, too. ``limit`` are the most
    bytes of a document.

    Raises:
        ValueError: ``ca`` or ``addresses`` cannot be used.
    """

    def __init__(
        self,
        routing: Routing,
        *,
        seconds: float,
        ca: str | None = None,
        addresses: Sequence[str] = (),
        only_public: bool = False,
        limit: int = DOCUMENT_LIMIT,
    ) -> None:
        self._routing = routing
        self._seconds = seconds
        self._tls = client_context(ca)
        self._granted = networks(addresses)
        self._only_public = only_public
        self._limit = limit
        self._links: dict[str, _Link] = {}

    async def get(self, url: str, *, only_public: bool = False) -> dict[str, Any]:
        """Return the JSON object at a URL.

        ``only_public`` refuses private addresses, too: the URL comes from a document and not from a resource.

        Raises:
            DocumentUnavailable: it cannot be fetched, or is no JSON object.
        """
        return _parsed(await self._fetch("GET", url, None, {}, only_public=only_public))

    async def post(self, url: str, form: Mapping[str, str], *, client_id: str, secret: bytes) -> dict[str, Any]:
        """Post a form as an OAuth client, and return the JSON object of the response.

        Raises:
            DocumentRefused: the response is an error of OAuth.
            DocumentUnavailable: there is no response of status 200 with a JSON object.
        """
        headers = {"Content-Type": _FORM, "Authorization": _basic(client_id, secret)}
        return _parsed(await self._fetch("POST", url, urlencode(form).encode(), headers, only_public=False))

    async def post_json(self, url: str, body: bytes) -> dict[str, Any]:
        """Post a JSON document, and return the JSON object of the response.

        It may be sent again where a kept connection was closed just then, so it must have no effects.

        Raises:
            DocumentUnavailable: there is no response of status 200 with a JSON object.
        """
        return _parsed(await self._fetch("POST", url, body, {"Content-Type": JSON}, only_public=False))

    async def _fetch(
        self, method: str, text: str, body: bytes | None, headers: Mapping[str, str], *, only_public: bool
    ) -> bytes:
        url = _checked(text)
        link = self._link(url, only_public=only_public or self._only_public)
        message = http1.message(link.head(method, url), http1.trusted_lines(headers), body)
        where = f"{url.scheme}://{http1.authority(url)}{url.raw_path}"
        try:
            async with asyncio.timeout(self._seconds):
                response = await link.pool.exchange(message, seconds=self._seconds, repeatable=True)
                try:
                    return await _body(response, seconds=self._seconds, limit=self._limit)
                finally:
                    response.close()
        except TimeoutError:
            raise DocumentUnavailable(f"{where}: no complete response within {self._seconds:g} s") from None
        except DocumentRefused as refused:
            raise DocumentRefused(f"{where}: {refused}", code=refused.code) from None
        except (UpstreamFault, DocumentUnavailable) as fault:
            raise DocumentUnavailable(f"{where}: {fault}") from None

    def _link(self, url: URL, *, only_public: bool) -> "_Link":
        """Return the connections to a server, as the routing is now."""
        dialer = self._dialer(url, only_public=only_public)
        key = f"{url.scheme}://{http1.authority(url)} {only_public}"
        link = self._links.get(key)
        if link is None or link.dialer != dialer:
            if link is not None:
                link.pool.keep_none()
            elif len(self._links) >= _SERVERS:
                self._links.pop(next(iter(self._links))).pool.keep_none()
            pool = Pool(dialer.dial, limit=_CONNECTIONS, keep_seconds=_KEEP_SECONDS, wait_seconds=self._seconds)
            link = self._links[key] = _Link(dialer, pool)
        return link

    def _dialer(self, url: URL, *, only_public: bool) -> Dialer:
        own, egress = self._routing()
        host, port = url.host or "", url.port or 0
        return Dialer(
            host=host,
            port=port,
            seconds=self._seconds,
            tls=self._tls if url.scheme == "https" else None,
            tls_name=None,
            granted=self._granted,
            own=own,
            egress=egress.proxy_for(url.scheme, host, port),
            only_public=only_public,
        )

    def close(self) -> None:
        """Close every connection; fetches fail."""
        for link in self._links.values():
            link.pool.close()
        self._links.clear()


@dataclass(frozen=True, slots=True)
class _Link:
    """The connections to one server."""

    dialer: Dialer
    pool: Pool

    def head(self, method: str, url: URL) -> bytes:
        """Return the beginning of a request, absolute for an egress proxy (RFC 9112 §3.2.2)."""
        proxy = self.dialer.egress if self.dialer.tls is None else None
        start = http1.head_start(method, url, _HEADERS, absolute=proxy is not None)
        if proxy is not None and proxy.authorization is not None:
            start += http1.trusted_lines({"Proxy-Authorization": proxy.authorization})
        return start


def is_permitted_url(text: str) -> bool:
    """Return whether a URL may be fetched: HTTPS, or HTTP within the cluster or on loopback."""
    try:
        _checked(text)
    except DocumentUnavailable:
        return False
    return True


def _checked(text: str) -> URL:
    try:
        url = URL(text)
        host = (url.host or "").lower()
    except ValueError:
        raise DocumentUnavailable("the URL of the document cannot be read") from None
    if not host or url.user is not None or url.fragment:
        raise DocumentUnavailable("the URL of the document has no host, or has credentials or a fragment")
    if url.scheme != "https" and not (url.scheme == "http" and _is_inside(host)):
        raise DocumentUnavailable(f"the URL of the document on {host} is not https")
    return url


def _is_inside(host: str) -> bool:
    """Return whether a host is in the cluster or is this machine, where certificates are rare."""
    if host == "localhost" or host.endswith(_INSIDE):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _body(response: UpstreamResponse, *, seconds: float, limit: int) -> bytes:
    """Return the body of a response of status 200, up to the limit.

    Raises:
        DocumentRefused: a status with which a token endpoint refuses.
        DocumentUnavailable: another status, a content encoding, or too large.
    """
    if response.status in _REFUSALS and not response.encoded:
        code = _error_code(await _read(response, seconds=seconds, limit=limit))
        raise DocumentRefused(f"it answered with status {response.status}{code and f' and {code}'}", code=code)
    if response.status != 200:
        kind = ", a redirect, which is not followed" if 300 <= response.status < 400 else ""
        raise DocumentUnavailable(f"it answered with status {response.status}{kind}")
    if response.encoded:
        raise DocumentUnavailable("its content is encoded, which was not asked for")
    return await _read(response, seconds=seconds, limit=limit)


async def _read(response: UpstreamResponse, *, seconds: float, limit: int) -> bytes:
    pieces = bytearray()
    while piece := await response.read_some(seconds):
        pieces += piece
        if len(pieces) > limit:
            raise DocumentUnavailable(f"its document is larger than {limit} bytes")
    return bytes(pieces)


def _error_code(text: bytes) -> str:
    """Return the code of an error of OAuth; empty where there is none that is usable."""
    try:
        code = _parsed(text).get("error")
    except DocumentUnavailable:
        return ""
    return code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) is not None else ""


def _parsed(text: bytes) -> dict[str, Any]:
    if json_weight.at_most(text) > _MOST_WEIGHT:
        raise DocumentUnavailable("the document has too many values")
    try:
        value = strict_json.loads(text)
    except StrictJSONError:
        raise DocumentUnavailable("the document is not strict JSON") from None
    if not isinstance(value, dict):
        raise DocumentUnavailable("the document is not a JSON object")
    return value


def _basic(client_id: str, secret: bytes) -> str:
    """Return the credentials of an OAuth client, both parts form-encoded (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"
