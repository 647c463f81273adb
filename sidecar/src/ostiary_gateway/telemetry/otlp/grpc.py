"""OTLP over gRPC (OTLP specification, "OTLP/gRPC").

Needs the extra ``ostiary[grpc]``; imported only when configured.

It uses grpc's own channel: the SDK's exporter has no public way to send encoded bytes, and raises on some values of the
environment.
"""

from pathlib import Path
from typing import Any, Final

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from ostiary_core.version import __version__
from ostiary_gateway.telemetry.collector import TLS, Collector
from ostiary_gateway.telemetry.otlp.exporter import SendResult, rejected_spans, retry_delay

_METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_RETRY_INFO: Final = "google.rpc.retryinfo-bin"
_RETRYABLE: Final = frozenset(
    (
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )
)
_HINTS: Final = {
    grpc.StatusCode.UNAUTHENTICATED: "check OTEL_EXPORTER_OTLP_HEADERS",
    grpc.StatusCode.PERMISSION_DENIED: "check OTEL_EXPORTER_OTLP_HEADERS",
    grpc.StatusCode.UNIMPLEMENTED: "it takes no traces over gRPC: see OTEL_EXPORTER_OTLP_PROTOCOL",
}
#: By default grpc would wait up to two minutes before it reconnects to a collector.
_OPTIONS: Final = (
    ("grpc.primary_user_agent", f"ostiary/{__version__}"),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5000),
)


class GRPCTransport:
    """Calls the trace service on one channel."""

    def __init__(self, collector: Collector) -> None:
        self.address = collector.endpoint
        self._metadata = tuple(collector.headers.items())
        compression = grpc.Compression.Gzip if collector.compression == "gzip" else grpc.Compression.NoCompression
        if collector.secure:
            self._channel = grpc.secure_channel(
                collector.endpoint, _credentials(collector.tls), options=_OPTIONS, compression=compression
            )
        else:
            self._channel = grpc.insecure_channel(collector.endpoint, options=_OPTIONS, compression=compression)
        # Without serializers the call takes and returns bytes.
        self._export = self._channel.unary_unary(_METHOD)

    def send(self, payload: bytes, *, timeout: float) -> SendResult:
        """Send one request, without retries. Never raises; ``timeout`` is in seconds."""
        try:
            response = self._export(payload, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            return _failed(error)
        except ValueError as error:  # the channel was closed meanwhile, or a header is not valid in gRPC
            return SendResult(fault=f"the request cannot be sent ({type(error).__name__})")
        return SendResult(rejected=rejected_spans(response))

    def close(self) -> None:
        """Close the connections; a call in progress ends at once."""
        self._channel.close()


def _failed(error: Any) -> SendResult:
    code = error.code()
    hint = f" ({_HINTS[code]})" if code in _HINTS else ""
    retryable = code in _RETRYABLE
    return SendResult(
        fault=f"gRPC {code.name}{hint}",
        retryable=retryable,
        retry_after=_retry_after(error.trailing_metadata()) if retryable else None,
        broken=code is grpc.StatusCode.UNAVAILABLE,
    )


def _retry_after(metadata: Any) -> float | None:
    """The collector's ``RetryInfo``, in seconds."""
    return next((retry_delay(value) for key, value in metadata or () if key == _RETRY_INFO), None)


def _credentials(tls: TLS) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_pem(tls.ca_file),
        private_key=_pem(tls.key_file or tls.certificate_file),
        certificate_chain=_pem(tls.certificate_file),
    )


def _pem(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None
