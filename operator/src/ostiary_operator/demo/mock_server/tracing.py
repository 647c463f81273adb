"""Exports the MCP SDK's spans, if the environment names an OTLP endpoint.

The MCP SDK uses only the OpenTelemetry API; this module sets the provider. The standard `OTEL_*` variables apply.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Final

_SHUTDOWN_SECONDS: Final = 2.0


class TracingError(Exception):
    """Traces are configured but cannot be exported. The message names the remedy."""


def start(environ: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Start the export for the whole process, if the environment configures it.

    Returns:
        The function to call at the end. It exports the last spans, and takes at most two seconds.

    Raises:
        TracingError: a package that the protocol in the environment needs is not installed.
    """
    if not _wanted(environ):
        return _nothing
    try:
        # The packages belong to other extras and are slow to import: load them only if spans are exported.
        from ostiary_operator.demo.mock_server import otlp  # noqa: PLC0415  see above

        shutdown = otlp.start(environ)
    except ImportError as error:
        raise TracingError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, but {error.name} is not installed: "
            "install ostiary with its extra gateway for http/protobuf, or grpc for grpc"
        ) from error
    return lambda: _within(_SHUTDOWN_SECONDS, shutdown)


def _nothing() -> None:
    """Do nothing: tracing was not started."""


def _wanted(environ: Mapping[str, str]) -> bool:
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(endpoint) and not disabled and environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() != "none"


def _within(seconds: float, action: Callable[[], None]) -> None:
    """Run an action in a thread, and stop waiting after ``seconds``.

    Without a collector a shutdown takes ten.
    """
    thread = threading.Thread(target=action, name="tracing-shutdown", daemon=True)
    thread.start()
    thread.join(seconds)
