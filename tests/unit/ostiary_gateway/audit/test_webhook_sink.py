"""The copy of an audit trail at a webhook: whole, in order, bounded, and without secrets in messages."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from audit_trails import trail, verified
from http_receiver import HTTPReceiver, http_receiver
from timeouts import TIMEOUT_SECONDS

from ostiary_core.contract.audit import AuditWebhookConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.audit.webhook_sink import WebhookSink
from ostiary_gateway.errors import CredentialMissing
from ostiary_tools.cluster.certificates import write_authority_and_server

LINES = trail().lines


def wait_until(holds: Callable[[], object]) -> None:
    until = monotonic() + TIMEOUT_SECONDS
    while not holds():
        assert monotonic() < until
        sleep(0.01)


def no_credential(name: str) -> SecretBytes:
    raise CredentialMissing(f"the credential {name} is not in the gateway's Secret yet")


def sink_for(receiver: HTTPReceiver, **members: object) -> WebhookSink:
    config = AuditWebhookConfig.model_validate({"url": receiver.url, "timeout": 30_000, **members})
    return WebhookSink(config, credential=lambda name: SecretBytes(f"value-of-{name}\n".encode()))


@pytest.fixture
def receiver() -> Iterator[HTTPReceiver]:
    with http_receiver() as found:
        yield found


def text_of(receiver: HTTPReceiver) -> bytes:
    return b"".join(request.body for request in receiver.requests)


def test_a_trail_arrives_whole_and_can_be_verified_there(receiver: HTTPReceiver) -> None:
    sink = sink_for(receiver)
    sink.write(LINES[:4])
    sink.write(LINES[4:])
    sink.close(TIMEOUT_SECONDS)
    assert verified(text_of(receiver)).is_good
    assert receiver.requests[0].headers["Content-Type"] == "application/x-ndjson"
    assert "Authorization" not in receiver.requests[0].headers
    assert (sink.lost, sink.fault) == (0, None)


def test_the_credential_is_sent_as_a_bearer_token_and_shown_nowhere(
    receiver: HTTPReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [401]
    sink = sink_for(receiver, credential="entry")
    sink.write(LINES)
    wait_until(lambda: len(receiver.requests) == 2)
    sink.close(TIMEOUT_SECONDS)
    assert receiver.requests[1].headers["Authorization"] == "Bearer value-of-entry"
    assert "the receiver answered 401" in caplog.text
    assert "value-of" not in caplog.text
    assert sink.name == f"webhook {receiver.url.split('/')[2]}"


def test_a_batch_is_sent_again_until_it_is_taken_and_nothing_after_it_goes_first(receiver: HTTPReceiver) -> None:
    receiver.statuses = [503, 500, 302, 429]
    receiver.headers = {"Retry-After": "0", "Location": "http://127.0.0.1:9/"}
    sink = sink_for(receiver)
    sink.write(LINES)
    wait_until(lambda: len(receiver.requests) == 5)
    sink.close(TIMEOUT_SECONDS)
    assert {request.body for request in receiver.requests} == {b"".join(LINES)}
    assert sink.lost == 0


def test_a_batch_that_will_never_be_taken_is_lost_and_counted_and_the_next_one_goes_on(
    receiver: HTTPReceiver,
) -> None:
    receiver.statuses = [413]
    sink = sink_for(receiver)
    sink.write(LINES[:4])
    wait_until(lambda: sink.lost == 4)
    sink.write(LINES[4:])
    sink.close(TIMEOUT_SECONDS)
    assert text_of(receiver) == b"".join(LINES)
    assert sink.fault is None


def test_while_the_receiver_is_away_only_a_bounded_number_of_bytes_waits() -> None:
    with http_receiver() as gone:
        config = AuditWebhookConfig(url=gone.url, timeout=1000)
    sink = WebhookSink(config, credential=no_credential)
    many = 20_000_000 // len(LINES[3])
    sink.write([LINES[3]] * many)
    assert 0 < many - sink.lost <= 8 * 1024 * 1024 // len(LINES[3])
    wait_until(lambda: sink.fault is not None)
    assert sink.fault == "the request failed: Connection refused"
    sink.close(0)
    assert sink.lost == many


def test_a_credential_that_has_not_arrived_is_waited_for(receiver: HTTPReceiver) -> None:
    config = AuditWebhookConfig(url=receiver.url, timeout=30_000, credential="entry")
    arrived: list[bytes] = []

    def credential(name: str) -> SecretBytes:
        return SecretBytes(arrived[0]) if arrived else no_credential(name)

    sink = WebhookSink(config, credential=credential)
    sink.write(LINES)
    wait_until(lambda: sink.fault is not None)
    assert "is not in the gateway's Secret yet" in str(sink.fault)
    arrived.append(b"token")
    wait_until(lambda: sink.fault is None)
    sink.close(TIMEOUT_SECONDS)
    assert receiver.requests[0].headers["Authorization"] == "Bearer token"


def test_tls_is_verified_with_the_bundle_of_the_settings(tmp_path: Path) -> None:
    write_authority_and_server(tmp_path, names=["audit.example.com"], addresses=["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    with http_receiver(tls=context) as receiver:
        trusting = sink_for(receiver, ca=(tmp_path / "ca.crt").read_text())
        trusting.write(LINES)
        trusting.close(TIMEOUT_SECONDS)
        assert text_of(receiver) == b"".join(LINES)
        doubting = sink_for(receiver)
        doubting.write(LINES)
        wait_until(lambda: doubting.fault is not None)
        assert doubting.fault == "the request failed: ClientConnectorCertificateError"
        doubting.close(0)
        assert doubting.lost == len(LINES)


def test_lines_after_the_end_are_lost_and_counted(receiver: HTTPReceiver) -> None:
    sink = sink_for(receiver)
    sink.close(0)
    sink.write(LINES)
    assert sink.lost == len(LINES)
    assert receiver.requests == []


def test_a_bug_does_not_end_the_copy(
    receiver: HTTPReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sink = sink_for(receiver)
    deliver, failures = sink.deliver, [ZeroDivisionError()]

    def once(lines: list[bytes]) -> None:
        if failures:
            raise failures.pop()
        deliver(lines)

    monkeypatch.setattr(sink, "deliver", once)
    sink.write(LINES)
    wait_until(lambda: receiver.requests)
    sink.close(TIMEOUT_SECONDS)
    assert text_of(receiver) == b"".join(LINES)
    assert "this is a bug" in caplog.text
