"""OTLP over HTTP against a real listener: headers, compression, TLS, proxies, and every kind of bad answer."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from otlp_sink import Answer, Sink, http_sink

from ostiary_core.version import __version__
from ostiary_gateway.telemetry.collector import TLS, Collector
from ostiary_gateway.telemetry.otlp.encoder import TraceEncoder, encode_span
from ostiary_gateway.telemetry.otlp.exporter import SendResult
from ostiary_gateway.telemetry.otlp.http import HTTPTransport, retry_after

PAYLOAD = TraceEncoder({"service.name": "x"}, scope_name="s", scope_version="1").request(
    [encode_span(("a" * 32, "b" * 16, "", False, "", "ping", 2, 1, 2, {}, 0, "", (), 0))]
)


def collector(endpoint: str, **more: Any) -> Collector:
    defaults: dict[str, Any] = {"protocol": "http/protobuf", "secure": endpoint.startswith("https"), "headers": {}}
    return Collector(endpoint=f"{endpoint}/v1/traces", **{**defaults, **more})


def send(endpoint: str, *, timeout: float = 5.0, **more: Any) -> SendResult:
    transport = HTTPTransport(collector(endpoint, **more))
    try:
        return transport.send(PAYLOAD, timeout=timeout)
    finally:
        transport.close()


def test_a_request_arrives_with_its_headers_at_its_path(http: Sink) -> None:
    assert send(http.endpoint, headers={"api-key": "abc"}) == SendResult()

    (headers,) = http.requests
    assert http.named("ping").service == "x"
    assert headers[":path"] == "/v1/traces"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["user-agent"] == f"ostiary/{__version__}"
    assert headers["api-key"] == "abc"


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_a_compressed_request_is_the_same_request(http: Sink, compression: str) -> None:
    assert send(http.endpoint, compression=compression) == SendResult()

    assert http.requests[0]["content-encoding"] == compression
    assert http.named("ping").service == "x"


def test_many_requests_share_one_connection(http: Sink) -> None:
    transport = HTTPTransport(collector(http.endpoint))
    outcomes = {transport.send(PAYLOAD, timeout=5.0) for _ in range(5)}

    assert outcomes == {SendResult()}
    assert transport._pool.connection_from_url(http.endpoint).num_connections == 1
    transport.close()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_collector_may_be_asked_again(http: Sink, status: int) -> None:
    http.answer = Answer(http_status=status)

    assert send(http.endpoint) == SendResult(f"HTTP {status}", retryable=True)


def test_a_busy_collector_may_send_retry_after(http: Sink) -> None:
    http.answer = Answer(http_status=429, headers={"Retry-After": "7"})

    assert send(http.endpoint).retry_after == 7.0


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 413, 500, 501])
def test_any_other_answer_is_final_and_no_redirect_is_followed(http: Sink, status: int) -> None:
    http.answer = Answer(http_status=status, headers={"Location": f"{http.endpoint}/elsewhere", "Retry-After": "1"})

    outcome = send(http.endpoint)

    assert (outcome.retryable, outcome.retry_after, http.attempts) == (False, None, 1)
    assert outcome.fault.startswith(f"HTTP {status}")


def test_a_missing_key_is_hinted_at_and_not_shown(http: Sink) -> None:
    http.answer = Answer(http_status=401)

    assert "OTEL_EXPORTER_OTLP_HEADERS" in send(http.endpoint, headers={"api-key": "hunter2"}).fault


def test_rejected_spans_are_counted(http: Sink) -> None:
    http.answer = Answer(rejected=3)

    assert send(http.endpoint) == SendResult(rejected=3)


@pytest.fixture
def refused() -> Iterator[str]:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_a_refused_connection_is_broken_and_may_pass(refused: str) -> None:
    assert send(refused) == SendResult("no connection (NewConnectionError)", retryable=True, broken=True)


def test_a_collector_that_does_not_answer_in_time_may_later(http: Sink) -> None:
    http.answer = Answer(hang=True)

    assert send(http.endpoint, timeout=0.1) == SendResult("no answer in time", retryable=True)


def test_a_header_that_http_cannot_carry_is_a_fault_and_not_a_crash(http: Sink) -> None:
    outcome = send(http.endpoint, headers={"x": "a\nb"})

    assert (outcome.fault, outcome.retryable) == ("the request cannot be sent (ValueError)", False)


class _Garbage(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.wfile.write(self.server.answer)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "answer",
    [b"", b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 503 x\r\nContent-Length: 10\r\n\r\nabc"],
)
def test_an_answer_that_is_no_http_is_a_fault_and_not_a_crash(answer: bytes) -> None:
    with HTTPServer(("127.0.0.1", 0), _Garbage) as server:
        server.answer = answer  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        outcome = send(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()

    assert outcome.fault
    assert outcome.retryable


# TLS


def _server_side(certificates: Any, *, mutual: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.authority)
    return context


def test_spans_are_sent_to_a_trusted_collector_over_tls(certificates: Any) -> None:
    with http_sink(tls=_server_side(certificates, mutual=False)) as sink:
        assert send(sink.endpoint, tls=TLS(ca_file=str(certificates.authority))) == SendResult()
        assert sink.named("ping").service == "x"


def test_a_collector_that_requests_a_client_certificate_gets_it(certificates: Any) -> None:
    tls = TLS(str(certificates.authority), str(certificates.certificate), str(certificates.key))
    with http_sink(tls=_server_side(certificates, mutual=True)) as sink:
        assert send(sink.endpoint, tls=tls) == SendResult()
        assert send(sink.endpoint, tls=TLS(ca_file=tls.ca_file)).fault


def test_an_untrusted_collector_gets_nothing(certificates: Any) -> None:
    with http_sink(tls=_server_side(certificates, mutual=False)) as sink:
        outcome = send(sink.endpoint)

        assert (outcome.retryable, sink.attempts) == (False, 0)
        assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in outcome.fault


# Proxies


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies, to put some into."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "proxied"),
    [
        ({"http_proxy": "{proxy}"}, True),
        ({"HTTP_PROXY": "{proxy}", "NO_PROXY": "elsewhere"}, True),
        ({"all_proxy": "{proxy}"}, True),
        ({"http_proxy": "{proxy}", "no_proxy": "127.0.0.1"}, False),
        ({"https_proxy": "{proxy}"}, False),
    ],
)
def test_a_proxy_of_the_environment_is_used_unless_the_host_is_exempt(
    http: Sink, refused: str, proxies: pytest.MonkeyPatch, variables: Mapping[str, str], proxied: bool
) -> None:
    for key, value in variables.items():
        proxies.setenv(key, value.format(proxy=http.endpoint))

    outcome = send(refused)

    assert (outcome.fault == "") is proxied
    assert [request[":path"] for request in http.requests] == [f"{refused}/v1/traces"] * proxied


def test_a_proxys_password_becomes_its_header(http: Sink, refused: str, proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("http_proxy", http.endpoint.replace("http://", "http://user:p%40ss@"))

    assert send(refused) == SendResult()
    assert http.requests[0]["proxy-authorization"] == "Basic dXNlcjpwQHNz"


@pytest.mark.parametrize("value", ["socks5://user:hunter2@127.0.0.1:1080", "http://user:hunter2@host:port", "http://"])
def test_a_proxy_that_cannot_be_used_is_warned_of_without_its_password(
    http: Sink, proxies: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    proxies.setenv("all_proxy", value)

    assert send(http.endpoint) == SendResult()
    assert "not an HTTP proxy" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-4", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_a_date_in_the_future_gives_the_seconds_to_wait() -> None:
    wait = retry_after("Fri, 31 Dec 2100 23:59:59 GMT")

    assert wait is not None
    assert wait > 1_000_000
