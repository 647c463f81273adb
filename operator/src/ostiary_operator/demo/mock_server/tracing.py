"""Exports the spans that the MCP SDK makes, if the environment names an OTLP endpoint.

The SDK speaks to the OpenTelemetry API only; here it gets a provider. The standard `OTEL_*` variables hold.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Final

_SHUTDOWN_SECONDS: Final = 2.0


class TracingError(Exception):
    """Traces were asked for and cannot be had. The message names the remedy."""


def start(environ: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Begin to export for the whole process, if it is asked for.

    Returns:
        What to call at the end. It exports the last spans and takes two seconds at most.

    Raises:
        TracingError: a package that the protocol in the environment needs is not installed.
    """
    if not _wanted(environ):
        return _nothing
    try:
        # The packages belong to other extras, and loading them takes time: only who exports pays.
        from ostiary_operator.demo.mock_server import otlp  # noqa: PLC0415  see above

        shutdown = otlp.start(environ)
    except ImportError as error:
        raise TracingError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, but {error.name} is not installed: "
            "install ostiary with its extra gateway for http/protobuf, or grpc for grpc"
        ) from error
    return lambda: _within(_SHUTDOWN_SECONDS, shutdown)


def _nothing() -> None:
    """Nothing was started, so nothing ends."""


def _wanted(environ: Mapping[str, str]) -> bool:
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(endpoint) and not disabled and environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() != "none"


def _within(seconds: float, action: Callable[[], None]) -> None:
    """Do it, but go on when it takes longer: a dead collector holds an exporter's shutdown for ten seconds."""
    thread = threading.Thread(target=action, name="tracing-shutdown", daemon=True)
    thread.start()
    thread.join(seconds)
