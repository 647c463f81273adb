"""What the telemetry tests share: tracing into memory, sinks, and certificates."""

import datetime as dt
import ipaddress
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from otlp_sink import Sink, grpc_sink, http_sink
from timeouts import TIMEOUT_SECONDS

from ostiary_gateway.telemetry import SpanRecord, Telemetry
from ostiary_gateway.telemetry.configuration import Settings
from ostiary_gateway.telemetry.otlp.exporter import ExportResult, QueuedSpan, ShutdownSignal


class MemoryExporter:
    """Keeps what it is given."""

    address = "memory"

    def __init__(self) -> None:
        self.spans: list[SpanRecord] = []

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:  # noqa: ARG002  the protocol's
        self.spans.extend(SpanRecord._make(span) for span in batch if not isinstance(span, bytes))
        return ExportResult()

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Traced:
    """Tracing into memory."""

    telemetry: Telemetry
    exporter: MemoryExporter

    def spans(self) -> list[SpanRecord]:
        """All exported spans, in the order in which they ended. Ends tracing."""
        self.telemetry.close(5)
        return self.exporter.spans

    def span(self) -> SpanRecord:
        """The only exported span."""
        (span,) = self.spans()
        return span


@pytest.fixture
def make_traced() -> Iterator[Callable[..., Traced]]:
    """Tracing into memory, with settings of the test's choice."""
    made: list[Telemetry] = []

    def make(**settings: Any) -> Traced:
        exporter = MemoryExporter()
        made.append(Telemetry(Settings(off=None, **settings), exporter))
        return Traced(made[-1], exporter)

    yield make
    for telemetry in made:
        telemetry.close(5)


@pytest.fixture
def traced(make_traced: Callable[..., Traced]) -> Traced:
    """Tracing into memory, everything sampled that has no unsampled parent."""
    return make_traced()


@pytest.fixture
def http() -> Iterator[Sink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def grpc() -> Iterator[Sink]:
    with grpc_sink() as sink:
        yield sink


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Polls until a predicate holds."""

    def wait(predicate: Callable[[], object], timeout: float = TIMEOUT_SECONDS) -> None:
        deadline = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < deadline, f"not reached in {timeout} s"
            time.sleep(0.005)

    return wait


@dataclass(frozen=True)
class Certificates:
    """PEM files of a small world: an authority, and one certificate of it that serves both sides on 127.0.0.1."""

    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("pki")
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("authority", authority_key, authority_key, authority=True)
    leaf = _certificate("127.0.0.1", key, authority_key, authority=False)
    files = Certificates(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, *, authority: bool
) -> x509.Certificate:
    def common(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(common(name))
        .issuer_name(common("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
