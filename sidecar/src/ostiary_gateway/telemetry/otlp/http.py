"""OTLP over HTTP with binary protobuf (OTLP specification, "OTLP/HTTP").

It uses urllib3, since the SDK's exporter has no public way to send encoded bytes. The environment is read as by the SDK
(:mod:`..configuration`), and proxies (``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``) are used as by the SDK.
"""

import gzip
import logging
import math
import time
import zlib
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from ostiary_core.version import __version__
from ostiary_gateway.telemetry.collector import TLS, Collector, Compression
from ostiary_gateway.telemetry.otlp.exporter import SendResult, rejected_spans

_log: Final = logging.getLogger(__name__)

_RETRYABLE: Final = frozenset((429, 502, 503, 504))
#: A collector's response is short; more than this is not read.
_RESPONSE_LIMIT: Final = 65_536
_COMPRESS: Final[dict[Compression, Callable[[bytes], bytes]]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}
#: What the operator should check for a status.
_HINTS: Final = {
    401: "check OTEL_EXPORTER_OTLP_HEADERS",
    403: "check OTEL_EXPORTER_OTLP_HEADERS",
    404: "check the path in OTEL_EXPORTER_OTLP_ENDPOINT",
    405: "check the path in OTEL_EXPORTER_OTLP_ENDPOINT",
    415: "it may take gRPC only: see OTEL_EXPORTER_OTLP_PROTOCOL",
}


class HTTPTransport:
    """Posts requests on one kept connection."""

    def __init__(self, collector: Collector) -> None:
        self.address = collector.endpoint.partition("?")[0]
        self._url = collector.endpoint
        self._compress = _COMPRESS[collector.compression]
        self._headers = {
            "user-agent": f"ostiary/{__version__}",
            "content-type": "application/x-protobuf",
            **({} if collector.compression == "none" else {"content-encoding": collector.compression}),
            **collector.headers,
        }
        self._pool = _pool(collector.endpoint, collector.tls)

    def send(self, payload: bytes, *, timeout: float) -> SendResult:
        """Send one request, without retries. Never raises; ``timeout`` is in seconds."""
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=self._compress(payload),
                headers=self._headers,
                timeout=urllib3.Timeout(total=timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return _broken(error)
        return self._read(response)

    def _read(self, response: urllib3.BaseHTTPResponse) -> SendResult:
        status = response.status
        try:
            body = response.read(_RESPONSE_LIMIT)
            response.drain_conn() if len(body) < _RESPONSE_LIMIT else response.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            body = b""  # the status line has all that is needed
            response.close()
        finally:
            response.release_conn()
        if 200 <= status < 300:
            return SendResult(rejected=rejected_spans(body))
        hint = f" ({_HINTS[status]})" if status in _HINTS else ""
        return SendResult(
            fault=f"HTTP {status}{hint}",
            retryable=status in _RETRYABLE,
            retry_after=retry_after(response.headers.get("retry-after")) if status in _RETRYABLE else None,
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _pool(url: str, tls: TLS) -> urllib3.PoolManager:
    proxy = _proxy(url)
    pool: Callable[..., urllib3.PoolManager] = urllib3.PoolManager
    if proxy is not None:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}" if proxy.username else None
        address = f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}"
        pool = partial(urllib3.ProxyManager, address, proxy_headers=urllib3.make_headers(proxy_basic_auth=user))
    return pool(
        num_pools=1,
        maxsize=1,
        cert_reqs="CERT_REQUIRED",
        ca_certs=tls.ca_file,
        cert_file=tls.certificate_file,
        key_file=tls.key_file,
    )


def _proxy(url: str) -> SplitResult | None:
    """The proxy in the environment.

    ``None`` if there is none for this host, or it is not an HTTP proxy.
    """
    target = urlsplit(url)
    proxies = getproxies()
    value = proxies.get(target.scheme) or proxies.get("all")
    if not value or proxy_bypass(target.hostname or ""):
        return None
    proxy = _http_url(value if "://" in value else f"http://{value}")
    if proxy is None:
        _log.warning("the proxy for %s in the environment is not an HTTP proxy: it is not used", target.scheme)
    return proxy


def _http_url(value: str) -> SplitResult | None:
    try:
        url = urlsplit(value)
        _ = url.port  # raises for an invalid port
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.hostname else None


def _broken(error: Exception) -> SendResult:
    """The result of an attempt without a response.

    In our own text: a library's may quote headers or proxies.
    """
    if isinstance(error, urllib3.exceptions.SSLError):
        return SendResult(fault="TLS failed (check OTEL_EXPORTER_OTLP_CERTIFICATE)")
    if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(
        error, urllib3.exceptions.NewConnectionError
    ):
        return SendResult(fault="no answer in time", retryable=True)
    if isinstance(error, (urllib3.exceptions.LocationValueError, ValueError)):
        return SendResult(fault=f"the request cannot be sent ({type(error).__name__})")
    return SendResult(fault=f"no connection ({type(error).__name__})", retryable=True, broken=True)


def retry_after(value: str | None) -> float | None:
    """The delay in seconds that a server asks for (RFC 9110, section 10.2.3).

    It is given as a number or as an HTTP date; ``None`` if it is absent or unreadable.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _until(value)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())
