"""Tracing of one gateway process: makes spans, and exports them."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ostiary_core.sdk_components import SdkComponentMissing
from ostiary_core.version import __version__
from ostiary_gateway.errors import StartupError
from ostiary_gateway.telemetry import semantic_conventions
from ostiary_gateway.telemetry.batch_processor import BatchSpanProcessor, Stats
from ostiary_gateway.telemetry.collector import Collector
from ostiary_gateway.telemetry.configuration import CONSOLE, OTLP, Settings, read_settings
from ostiary_gateway.telemetry.console_exporter import ConsoleExporter
from ostiary_gateway.telemetry.context import Decide
from ostiary_gateway.telemetry.environment_variables import Environment
from ostiary_gateway.telemetry.otlp.encoder import TraceEncoder, encode_span
from ostiary_gateway.telemetry.otlp.exporter import Exporter, OTLPExporter, Transport
from ostiary_gateway.telemetry.resource import resource_attributes
from ostiary_gateway.telemetry.sampling import RateLimit, make_sampler
from ostiary_gateway.telemetry.server_span import ServerSpan
from ostiary_gateway.telemetry.span_record import AttributeValue, PlainRecord
from ostiary_gateway.telemetry.span_templates import SpanTemplates
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

if TYPE_CHECKING:
    from ostiary_gateway.telemetry.sdk_context import SdkPropagators

_log: Final = logging.getLogger(__name__)


class Telemetry:
    """Makes SERVER spans, and owns their sampling, queue, thread and exporter.

    Make it with :meth:`from_env` (the standard ``OTEL_*`` variables) or :meth:`disabled`; tests may pass an exporter of
    their own. Spans are made and ended in one thread, the event loop's.
    """

    def __init__(self, settings: Settings, exporter: Exporter | None) -> None:
        #: Why tracing is off, ``None`` if it is on.
        self.off = settings.off
        self.text_limit = settings.attribute_text_limit
        self.content_limit = settings.content_limit
        self.count_limit = settings.attribute_count_limit
        self.decide: Decide | None = None
        #: Encodes usual spans at once, for the exporter that is built in.
        self.templates = SpanTemplates() if isinstance(exporter, OTLPExporter) else None
        #: Set where a propagator is configured that is not built in.
        self.propagators: SdkPropagators | None = None
        #: Which exporters, sampler and propagators are active, for ``/config`` and the log.
        self.active: Mapping[str, Any] = _active(settings)
        self._drain: BatchSpanProcessor | None = None
        #: Takes an ended span that a template has encoded (called by spans).
        self.encoded: Callable[[bytes], None] = _drop
        self._refused: Callable[[], int] = int
        self._warner = WarningLimiter(_log)
        if exporter is not None:
            self._start(settings, exporter)

    def _start(self, settings: Settings, exporter: Exporter) -> None:
        limit = RateLimit(settings.remote_sampled_per_second)
        self.decide = make_sampler(settings.sampler, settings.sampler_ratio, limit)
        self._load_components(settings)
        self._refused = lambda: limit.refused
        self._drain = BatchSpanProcessor(
            exporter,
            capacity=settings.queue_size,
            batch_size=settings.batch_size,
            delay=settings.delay,
        )
        self.encoded = self._drain.put

    def _load_components(self, settings: Settings) -> None:
        """Load what is not built in.

        Raises:
            SdkComponentMissing: it is not installed.
        """
        # Imported here, so that the SDK is loaded only where it is used.
        if settings.sdk_sampler:
            from ostiary_gateway.telemetry.sdk_context import SdkSampler  # noqa: PLC0415  see above

            self.decide = SdkSampler(settings.sdk_sampler, settings.sampler_argument).decide
        if settings.sdk_propagators:
            from ostiary_gateway.telemetry.sdk_context import SdkPropagators  # noqa: PLC0415  likewise

            self.propagators = SdkPropagators(settings.sdk_propagators)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        resource: Mapping[str, str] | None = None,
    ) -> "Telemetry":
        """Tracing as configured in ``environ`` (by default the process's own).

        See :mod:`.configuration` and :mod:`.resource`.

        ``resource`` adds attributes of the process, which the environment overrides. Invalid values give a warning and
        are replaced by defaults. Raises :class:`.StartupError` if gRPC is configured and its extra is not installed, or
        a component of the SDK is named that is not installed.
        """
        environ = os.environ if environ is None else environ
        settings = read_settings(environ)
        for warning in settings.warnings:
            _log.warning("%s", warning)
        if settings.off is not None:
            _log.info("calls are not traced: %s", settings.off)
            return cls(settings, None)
        env = Environment(environ)
        attributes = resource_attributes(env, resource or {})
        for warning in env.warnings:
            _log.warning("%s", warning)
        try:
            made = cls(settings, _exporter(settings, attributes))
        except SdkComponentMissing as error:
            raise StartupError(str(error)) from error
        _log.info("calls are traced: %s", "; ".join(f"{key} {value}" for key, value in made.active.items()))
        return made

    @classmethod
    def disabled(cls) -> "Telemetry":
        """No tracing: upstreams get the caller's context."""
        return cls(Settings(off="disabled"), None)

    def context_in(self, headers: Mapping[str, str]) -> tuple[str | None, str | None]:
        """Return the caller's ``traceparent`` and ``tracestate``.

        The headers have lower-case names.
        """
        if self.propagators is not None:
            return self.propagators.extract(headers)
        return headers.get("traceparent"), headers.get("tracestate")

    def server_span(
        self,
        *,
        http_method: str = "POST",
        traceparent: str | None = None,
        tracestate: str | None = None,
        client_address: str | None = None,
        client_port: int | None = None,
        http_version: str | None = None,
    ) -> ServerSpan:
        """Begin the SERVER span of a request; enter it with ``with``.

        ``traceparent`` and ``tracestate`` are the raw HTTP headers. ``http_version`` is as in "1.1".
        """
        attributes: dict[str, AttributeValue] = {}
        if client_address is not None:
            attributes[semantic_conventions.CLIENT_ADDRESS] = client_address
            if client_port is not None:
                attributes[semantic_conventions.CLIENT_PORT] = client_port
        if http_version is not None:
            attributes[semantic_conventions.NETWORK_PROTOCOL_VERSION] = http_version
        return ServerSpan(self, http_method, traceparent, tracestate, attributes)

    def ended(self, span: PlainRecord) -> None:
        """Take an ended span (called by spans)."""
        if self._drain is None:
            return
        if self.templates is None:
            self._drain.put(span)
            return
        try:
            self._drain.put(encode_span(span))
        except Exception as error:  # noqa: BLE001  a bug must not affect requests: the thread meets and reports it, too
            self._warner.warn("a span could not be encoded: this is a bug", error=error)
            self._drain.put(span)

    @property
    def stats(self) -> Stats:
        """The counts of all sampled spans so far."""
        if self._drain is None:
            return Stats()
        return replace(self._drain.stats(), remote_sampled_refused=self._refused())

    def close(self, timeout: float = 3.0) -> Stats:
        """Export the queue within ``timeout`` seconds, and return the final counts.

        What is not exported by then is counted as lost.

        It blocks: call it in another thread than the event loop's. Spans that end later are counted as lost.
        """
        if self._drain is not None:
            self._drain.close(timeout)
        return self.stats


def _drop(_: bytes) -> None:
    """Take a span that nothing exports."""


def _active(settings: Settings) -> dict[str, str]:
    """Return in words which components are active, and whether they are built in or the SDK's."""
    if settings.off is not None:
        return {"off": settings.off}
    own = {OTLP, CONSOLE}
    exporters = (f"{name} ({'built in' if name in own else 'SDK'})" for name in settings.exporters)
    return {
        "exporter": ", ".join(exporters),
        "sampler": f"{settings.sdk_sampler} (SDK)" if settings.sdk_sampler else f"{settings.sampler} (built in)",
        "propagators": f"{', '.join(settings.sdk_propagators)} (SDK)"
        if settings.sdk_propagators
        else "tracecontext (built in)",
    }


def _exporter(settings: Settings, resource: Mapping[str, AttributeValue]) -> Exporter:
    exporters = [_exporter_named(name, settings, resource) for name in settings.exporters]
    if len(exporters) == 1:
        return exporters[0]
    from ostiary_gateway.telemetry.sdk_exporters import ExporterGroup  # noqa: PLC0415  only for several

    return ExporterGroup(exporters)


def _exporter_named(name: str, settings: Settings, resource: Mapping[str, AttributeValue]) -> Exporter:
    if name == CONSOLE:
        return ConsoleExporter()
    if name != OTLP or settings.collector is None:
        from ostiary_gateway.telemetry.sdk_exporters import SdkExporter  # noqa: PLC0415  only where it is named

        return SdkExporter(name, resource)
    encoder = TraceEncoder(
        resource,
        scope_name=semantic_conventions.SCOPE_NAME,
        scope_version=__version__,
        schema_url=semantic_conventions.SCHEMA_URL,
    )
    return OTLPExporter(_transport(settings.collector), encoder, timeout=settings.collector.timeout)


def _transport(collector: Collector) -> Transport:
    # Imported here, so that only the configured transport is loaded.
    if collector.protocol == "http/protobuf":
        from ostiary_gateway.telemetry.otlp.http import HTTPTransport  # noqa: PLC0415  see above

        return HTTPTransport(collector)
    try:
        from ostiary_gateway.telemetry.otlp.grpc import GRPCTransport  # noqa: PLC0415  likewise
    except ImportError as error:
        raise StartupError(
            "OTEL_EXPORTER_OTLP_PROTOCOL is grpc, but grpc is not installed: install ostiary with its extra grpc,"
            " or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        ) from error
    return GRPCTransport(collector)
