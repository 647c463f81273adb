"""Settings of tracing, read once from the standard ``OTEL_*`` variables and one of ours.

They have the meaning of OpenTelemetry's Python SDK 1.45, with which tests compare them, except:

- Without ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` tracing is off. The SDK would send
  to localhost:4318, where nothing listens in most pods.
- ``OTEL_EXPORTER_OTLP_TIMEOUT`` is in seconds, as in the SDK (the specification says milliseconds), and at most 30.
- ``OTEL_BSP_*`` have defaults of our own: a queue of 8192, batches of 512, a delay of 200 ms.
- An invalid value gives one warning and the default; the SDK raises for some of them.

``OSTIARY_TRACES_REMOTE_SAMPLED_PER_SECOND`` (default 100) limits how many traces a second callers can force with their
sampled flag: see :func:`.sampling.make_sampler`.

``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` (default ``NO_CONTENT``) enables spans with the arguments and
results of tools: ``SPAN_ONLY``, or ``SPAN_AND_EVENT``, of which we emit the spans. ``true`` is an older form.
"""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args
from urllib.parse import SplitResult, unquote, urlsplit

from ostiary_gateway.telemetry.environment_variables import Environment

Exporter = Literal["otlp", "console", "none"]
Protocol = Literal["http/protobuf", "grpc"]
Compression = Literal["none", "gzip", "deflate"]
SamplerName = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]

REMOTE_SAMPLED_VARIABLE: Final = "OSTIARY_TRACES_REMOTE_SAMPLED_PER_SECOND"

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPORTERS: Final[dict[str, Exporter]] = {"otlp": "otlp", "console": "console", "none": "none"}
_PROTOCOLS: Final[dict[str, Protocol]] = {"http/protobuf": "http/protobuf", "grpc": "grpc"}
_COMPRESSIONS: Final[dict[Protocol, dict[str, Compression]]] = {
    "http/protobuf": {"none": "none", "gzip": "gzip", "deflate": "deflate"},
    "grpc": {"none": "none", "gzip": "gzip"},
}
_SAMPLERS: Final[dict[str, SamplerName]] = {name: name for name in get_args(SamplerName)}
CONTENT_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
#: The values that put content into spans.
_CONTENT: Final = {
    "no_content": False,
    "span_only": True,
    "span_and_event": True,
    "event_only": False,
    "true": True,
    "false": False,
}
#: The number of characters of arguments, and of a result; the standard limit of attributes applies where it is lower.
_CONTENT_LIMIT: Final = 4096
_TEXT_LIMITS: Final = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_MAX_TIMEOUT: Final = 30.0
_MAX_QUEUE: Final = 1_000_000


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


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of tracing in the environment.

    ``off`` is why tracing is off, ``None`` if it is on.
    """

    off: str | None
    exporter: Exporter = "otlp"
    collector: Collector | None = None
    sampler: SamplerName = "parentbased_always_on"
    sampler_ratio: float = 1.0
    remote_sampled_per_second: float = 100.0
    queue_size: int = 8192
    batch_size: int = 512
    delay: float = 0.2
    attribute_text_limit: int = 1024
    attribute_count_limit: int = 128
    content_limit: int = 0
    warnings: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in ``environ``. Never raises; what is wrong is in ``warnings``."""
    env = Environment(environ)
    off, exporter, collector = _destination(env)
    if off is not None:
        return Settings(off=off, exporter=exporter, warnings=tuple(env.warnings))
    queue_size = env.integer(8192, "OTEL_BSP_MAX_QUEUE_SIZE", at_most=_MAX_QUEUE)
    sampler = env.choice(_SAMPLERS, "parentbased_always_on", "OTEL_TRACES_SAMPLER")
    with_ratio = sampler.endswith("traceidratio")
    text_limit = env.integer(1024, *_TEXT_LIMITS, at_most=65_536)
    return Settings(
        off=None,
        exporter=exporter,
        collector=collector,
        sampler=sampler,
        sampler_ratio=env.number(1.0, "OTEL_TRACES_SAMPLER_ARG", inclusive=True, at_most=1.0) if with_ratio else 1.0,
        remote_sampled_per_second=env.number(100.0, REMOTE_SAMPLED_VARIABLE, inclusive=True),
        queue_size=queue_size,
        batch_size=min(queue_size, env.integer(512, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", at_most=_MAX_QUEUE)),
        delay=env.number(200.0, "OTEL_BSP_SCHEDULE_DELAY", at_most=60_000.0) / 1000,
        attribute_text_limit=text_limit,
        attribute_count_limit=env.integer(
            128, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT", at_most=1024
        ),
        content_limit=_content_limit(env, text_limit),
        warnings=tuple(env.warnings),
    )


def _content_limit(env: Environment, text_limit: int) -> int:
    """Return how many characters of content a span may hold; 0 for none, the default."""
    if not env.choice(_CONTENT, "no_content", CONTENT_VARIABLE):
        if (env.text(CONTENT_VARIABLE) or "").lower() == "event_only":
            env.warn(CONTENT_VARIABLE, "is EVENT_ONLY, and there are no events", "no content is recorded")
        return 0
    return min(_CONTENT_LIMIT, text_limit) if env.first(*_TEXT_LIMITS) is not None else _CONTENT_LIMIT


def _destination(env: Environment) -> tuple[str | None, Exporter, Collector | None]:
    """(why tracing is off, the exporter, its collector)."""
    if env.flag("OTEL_SDK_DISABLED"):
        return "OTEL_SDK_DISABLED is true", "none", None
    exporter = env.choice(_EXPORTERS, "otlp", "OTEL_TRACES_EXPORTER")
    if exporter == "none":
        return "OTEL_TRACES_EXPORTER is none", exporter, None
    if exporter == "console":
        return None, exporter, None
    if env.first(*_ENDPOINTS) is None:
        if env.text("OTEL_TRACES_EXPORTER"):
            env.warn("OTEL_TRACES_EXPORTER", "is otlp without OTEL_EXPORTER_OTLP_ENDPOINT", "tracing is off")
        return "OTEL_EXPORTER_OTLP_ENDPOINT is not set", exporter, None
    collector = _collector(env)
    return ("the OTLP endpoint is not usable" if collector is None else None), exporter, collector


def _collector(env: Environment) -> Collector | None:
    protocol = env.choice(
        _PROTOCOLS, "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
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
    key, value = env.first(*_ENDPOINTS) or ("", "")
    url = _split(value)
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        env.warn(key, f"is not an http or https URL ({_meant(value)})", "tracing is off")
        return None
    host, credentials = _without_credentials(url)
    path = url.path if key == _ENDPOINTS[0] else f"{url.path.removesuffix('/')}/v1/traces"
    return url._replace(netloc=host, path=path, fragment="").geturl(), url.scheme == "https", credentials


def _grpc_endpoint(env: Environment) -> tuple[str, bool, dict[str, str]] | None:
    """(host:port or another gRPC target, whether it is secure, credentials).

    Without a scheme it is secure.
    """
    key, value = env.first(*_ENDPOINTS) or ("", "")
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
