"""Settings of tracing, read once from the standard ``OTEL_*`` variables and one of ours.

They have the meaning of OpenTelemetry's Python SDK 1.45, with which tests compare them, except:

- Without ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` tracing is off. The SDK would send
  to localhost:4318, where nothing listens in most pods.
- ``OTEL_EXPORTER_OTLP_TIMEOUT`` is in seconds, as in the SDK (the specification says milliseconds), and at most 30.
- ``OTEL_BSP_*`` have defaults of our own: a queue of 8192, batches of 512, a delay of 200 ms.
- An invalid value gives one warning and the default; the SDK raises for some of them.
- ``OTEL_TRACES_EXPORTER`` may name several. Where it, ``OTEL_TRACES_SAMPLER`` or ``OTEL_PROPAGATORS`` names a component
  that is not built in, the SDK's is loaded by its entry point (:mod:`.sdk_exporters`, :mod:`.sdk_context`); one that is
  not installed is a start error.

``OSTIARY_TRACES_REMOTE_SAMPLED_PER_SECOND`` (default 100) limits how many traces a second callers can force with their
sampled flag: see :func:`.sampling.make_sampler`.

``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` (default ``NO_CONTENT``) enables spans with the arguments and
results of tools: ``SPAN_ONLY``, or ``SPAN_AND_EVENT``, of which we emit the spans. ``true`` is an older form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from ostiary_core.sdk_components import OTLP_BY_PROTOCOL
from ostiary_gateway.telemetry.collector import ENDPOINTS, PROTOCOLS, Collector, read_collector
from ostiary_gateway.telemetry.environment_variables import Environment

SamplerName = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]

REMOTE_SAMPLED_VARIABLE: Final = "OSTIARY_TRACES_REMOTE_SAMPLED_PER_SECOND"

OTLP: Final = "otlp"
CONSOLE: Final = "console"
#: The propagators whose meaning the gateway has built in: W3C trace context. Baggage is never forwarded.
_PROPAGATORS: Final = ("tracecontext", "baggage")
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
_MAX_QUEUE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of tracing in the environment.

    ``off`` is why tracing is off, ``None`` if it is on.
    """

    off: str | None
    exporters: tuple[str, ...] = (OTLP,)
    """``otlp`` and ``console`` are built in; every other name is an entry point of the SDK's."""
    collector: Collector | None = None
    sampler: SamplerName = "parentbased_always_on"
    sampler_ratio: float = 1.0
    sdk_sampler: str = ""
    """The name of a sampler that is not built in; it decides instead of ``sampler``."""
    sampler_argument: str = ""
    """``OTEL_TRACES_SAMPLER_ARG`` for it."""
    sdk_propagators: tuple[str, ...] = ()
    """The propagators of HTTP headers, where one of them is not built in."""
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
    off, exporters, collector = _destination(env)
    if off is not None:
        return Settings(off=off, exporters=exporters, warnings=tuple(env.warnings))
    queue_size = env.integer(8192, "OTEL_BSP_MAX_QUEUE_SIZE", at_most=_MAX_QUEUE)
    named = (env.text("OTEL_TRACES_SAMPLER") or "parentbased_always_on").strip()
    sampler = _SAMPLERS.get(named.lower(), "parentbased_always_on")
    with_ratio = sampler.endswith("traceidratio")
    text_limit = env.integer(1024, *_TEXT_LIMITS, at_most=65_536)
    return Settings(
        off=None,
        exporters=exporters,
        collector=collector,
        sampler=sampler,
        sampler_ratio=env.number(1.0, "OTEL_TRACES_SAMPLER_ARG", inclusive=True, at_most=1.0) if with_ratio else 1.0,
        sdk_sampler="" if named.lower() in _SAMPLERS else named,
        sampler_argument=env.text("OTEL_TRACES_SAMPLER_ARG") or "",
        sdk_propagators=_sdk_propagators(env),
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


def _sdk_propagators(env: Environment) -> tuple[str, ...]:
    """Return all propagators, in their order, if one of them is not built in; else none."""
    names = _names(env, "OTEL_PROPAGATORS")
    return () if not names or names == ("none",) or set(names) <= set(_PROPAGATORS) else names


def _names(env: Environment, key: str) -> tuple[str, ...]:
    parts = (part.strip().lower() for part in (env.text(key) or "").split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _destination(env: Environment) -> tuple[str | None, tuple[str, ...], Collector | None]:
    """(why tracing is off, the exporters, the collector of ``otlp``)."""
    if env.flag("OTEL_SDK_DISABLED"):
        return "OTEL_SDK_DISABLED is true", (), None
    named = _names(env, "OTEL_TRACES_EXPORTER") or (OTLP,)
    if named == ("none",):
        return "OTEL_TRACES_EXPORTER is none", (), None
    exporters = tuple(_with_protocol(env, name) for name in named if name != "none")
    if OTLP not in exporters:
        return None, exporters, None
    if env.first(*ENDPOINTS) is None:
        return _without_otlp(env, exporters)
    collector = read_collector(env)
    return ("the OTLP endpoint is not usable" if collector is None else None), exporters, collector


def _with_protocol(env: Environment, name: str) -> str:
    """Return ``otlp``, or the SDK's exporter for a protocol that is not built in."""
    protocol = (env.text(*PROTOCOLS) or "").lower()
    return OTLP_BY_PROTOCOL[protocol] if name == OTLP and protocol == "http/json" else name


def _without_otlp(env: Environment, exporters: tuple[str, ...]) -> tuple[str | None, tuple[str, ...], None]:
    """Leave out ``otlp``, which has no endpoint; where it was named, a warning says so."""
    others = tuple(name for name in exporters if name != OTLP)
    if env.text("OTEL_TRACES_EXPORTER"):
        consequence = "tracing is off" if not others else "it gets no spans"
        env.warn("OTEL_TRACES_EXPORTER", "is otlp without OTEL_EXPORTER_OTLP_ENDPOINT", consequence)
    return (None if others else "OTEL_EXPORTER_OTLP_ENDPOINT is not set"), others, None
