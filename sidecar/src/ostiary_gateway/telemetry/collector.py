"""Where spans are sent over OTLP.

The variables ``OTEL_EXPORTER_OTLP_*`` become one :class:`Collector`.
"""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from ostiary_gateway.telemetry.environment_variables import Environment

Protocol = Literal["http/protobuf", "grpc"]
Compression = Literal["none", "gzip", "deflate"]

#: The traces' own endpoint, and the one for all signals.
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOLS: Final[dict[str, Protocol]] = {"http/protobuf": "http/protobuf", "grpc": "grpc"}
_COMPRESSIONS: Final[dict[Protocol, dict[str, Compression]]] = {
    "http/protobuf": {"none": "none", "gzip": "gzip", "deflate": "deflate"},
    "grpc": {"none": "none", "gzip": "gzip"},
}
_MAX_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class TLS:
    """PEM files: trusted authorities (``None``: the system's), our certificate and its key.

    Without ``key_file`` the key is in ``certificate_file``.
    """

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Collector:
    """The destination of spans, and how to connect to it.

    ``endpoint`` is a complete URL for HTTP and ``host:port`` for gRPC, without user and password, which go into
    ``headers``. ``timeout`` is in seconds and covers a batch with its retries.
    """

    protocol: Protocol
    endpoint: str
    secure: bool
    headers: Mapping[str, str] = field(repr=False)
    timeout: float = 10.0
    compression: Compression = "none"
    tls: TLS = TLS()


def read_collector(env: Environment) -> Collector | None:
    """Return the collector, or None with a warning where its endpoint is not usable."""
    protocol = env.choice(_PROTOCOLS, "http/protobuf", *PROTOCOLS)
    endpoint = _http_endpoint(env) if protocol == "http/protobuf" else _grpc_endpoint(env)
    if endpoint is None:
        return None
    address, secure, credentials = endpoint
    return Collector(
        protocol=protocol,
        endpoint=address,
        secure=secure,
        headers=credentials | env.headers("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"),
        timeout=env.number(
            10.0, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT", at_most=_MAX_TIMEOUT
        ),
        compression=env.choice(
            _COMPRESSIONS[protocol],
            "none",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
            "OTEL_EXPORTER_OTLP_COMPRESSION",
        ),
        tls=_tls(env),
    )


def _http_endpoint(env: Environment) -> tuple[str, bool, dict[str, str]] | None:
    """(URL, whether it is https, credentials).

    The generic endpoint is a base, the traces' own a complete URL.
    """
    key, value = env.first(*ENDPOINTS) or ("", "")
    url = _split(value)
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        env.warn(key, f"is not an http or https URL ({_meant(value)})", "tracing is off")
        return None
    host, credentials = _without_credentials(url)
    path = url.path if key == ENDPOINTS[0] else f"{url.path.removesuffix('/')}/v1/traces"
    return url._replace(netloc=host, path=path, fragment="").geturl(), url.scheme == "https", credentials


def _grpc_endpoint(env: Environment) -> tuple[str, bool, dict[str, str]] | None:
    """(host:port or another gRPC target, whether it is secure, credentials).

    Without a scheme it is secure.
    """
    key, value = env.first(*ENDPOINTS) or ("", "")
    insecure = env.flag("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE")
    url = _split(value)
    if url is None or (url.scheme in ("http", "https") and not url.hostname):
        env.warn(key, "is neither host:port nor an http or https URL", "tracing is off")
        return None
    if url.scheme not in ("http", "https"):
        if env.first("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE") is None:
            env.warn(key, "has no scheme, which means TLS", f"for a collector without it {_meant(value)}")
        return value, not insecure, {}
    host, credentials = _without_credentials(url)
    return host, url.scheme == "https", credentials


def _meant(value: str) -> str:
    """What to write in place of a host and a port alone.

    Any other value may hold a secret and is not shown.
    """
    bare = re.fullmatch(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?", value)
    return f"write http://{value}" if bare else "write http:// in front of it"


def _split(value: str) -> SplitResult | None:
    try:
        url = urlsplit(value)
        _ = url.port  # raises for an invalid port
    except ValueError:
        return None
    return url


def _without_credentials(url: SplitResult) -> tuple[str, dict[str, str]]:
    """Return host and port alone, and the header made from user and password."""
    user, at, host = url.netloc.rpartition("@")
    if not at:
        return host, {}
    token = base64.b64encode(unquote(user).encode()).decode()
    return host, {"authorization": f"Basic {token}"}


def _tls(env: Environment) -> TLS:
    certificate, key = _file(env, "CLIENT_CERTIFICATE"), _file(env, "CLIENT_KEY")
    if key and not certificate:
        env.warn("OTEL_EXPORTER_OTLP_CLIENT_KEY", "has no OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "it is not used")
        key = None
    return TLS(ca_file=_file(env, "CERTIFICATE"), certificate_file=certificate, key_file=key)


def _file(env: Environment, suffix: str) -> str | None:
    found = env.first(f"OTEL_EXPORTER_OTLP_TRACES_{suffix}", f"OTEL_EXPORTER_OTLP_{suffix}")
    if found is None:
        return None
    key, value = found
    if not os.access(value, os.R_OK):
        env.warn(key, f"names {value!r}, which cannot be read", "it is not used")
        return None
    return value
