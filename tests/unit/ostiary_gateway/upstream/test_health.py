"""What a gateway records and logs of a server: enough to know why calls fail, and no more."""

import logging

import pytest

from ostiary_core.upstream_faults import KINDS, NOT_OF_THE_SERVER, OF_ONE_CALL
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream import health as module
from ostiary_gateway.upstream.health import IN_A_ROW, LOG_SECONDS, MESSAGE_LIMIT, Health, printable

DOWN = UpstreamFault(faults.UNREACHABLE, "10.0.0.7 port 80: Connection refused")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def health(clock: list[float], caplog: pytest.LogCaptureFixture) -> Health:
    caplog.set_level(logging.INFO)
    return Health("server crm of MCPProxy tools/crm (http://crm.tools/mcp)")


def test_a_fault_is_kept_until_the_server_answers(health: Health) -> None:
    assert (health.answered, health.fault) == (False, None)
    health.failed(DOWN)
    assert health.fault is not None
    assert (health.fault.kind, health.fault.message) == (faults.UNREACHABLE, DOWN.message)
    health.succeeded()
    assert_well(health)
    assert dict(health.counts) == {faults.UNREACHABLE: 1}


@pytest.mark.parametrize("kind", [faults.INVALID, faults.REDIRECTED])
def test_a_response_that_is_not_mcp_ends_a_fault_of_the_transport_and_not_that_of_a_wrong_path(
    health: Health, kind: str
) -> None:
    health.failed(UpstreamFault(kind, "the upstream answered HTTP 404"))
    health.responded()
    assert health.fault is not None
    assert not health.answered
    health.failed(DOWN)
    health.responded()
    assert health.fault is None


def assert_well(health: Health) -> None:
    assert health.answered
    assert health.fault is None


@pytest.mark.parametrize("kind", sorted(OF_ONE_CALL))
def test_a_call_that_fails_by_itself_does_not_mark_a_server_that_answers_others(health: Health, kind: str) -> None:
    health.succeeded()
    for _ in range(5):
        for _ in range(IN_A_ROW - 1):
            health.failed(UpstreamFault(kind, "words"))
            assert health.fault is None
        health.succeeded()
    for _ in range(IN_A_ROW):
        health.failed(UpstreamFault(kind, "words"))
    assert health.fault is not None


@pytest.mark.parametrize("kind", sorted(KINDS - OF_ONE_CALL - NOT_OF_THE_SERVER))
def test_a_fault_of_every_call_is_reported_at_the_first(health: Health, kind: str) -> None:
    health.succeeded()
    health.failed(UpstreamFault(kind, "words"))
    assert health.fault is not None


@pytest.mark.parametrize("kind", sorted(NOT_OF_THE_SERVER))
def test_what_the_gateway_has_no_room_for_is_no_fault_of_the_server(health: Health, kind: str) -> None:
    for _ in range(10):
        health.failed(UpstreamFault(kind, "words"))
    assert health.fault is None


def test_a_server_that_is_down_fills_no_log(
    health: Health, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(1000):
        health.failed(DOWN)
    expected = "server crm of MCPProxy tools/crm (http://crm.tools/mcp): UpstreamUnreachable: "
    assert caplog.messages == [expected + DOWN.message]
    clock[0] += LOG_SECONDS
    health.failed(DOWN)
    assert caplog.messages[1].endswith("Connection refused (and 999 more since the last such record)")


def test_an_unstable_server_does_not_fill_the_log(
    health: Health, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for turn in range(6000):
        health.failed(DOWN if turn % 2 else UpstreamFault(faults.TLS_FAILED, "words"))
        health.succeeded()
        clock[0] += 0.01
    assert len(caplog.records) <= 2 * 2


def test_another_kind_of_fault_is_logged_though_the_first_was_a_moment_ago(
    health: Health, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    health.failed(DOWN)
    clock[0] += 1
    health.failed(UpstreamFault(faults.TLS_FAILED, "certificate has expired"))
    assert [record.message.split(": ")[1] for record in caplog.records] == ["UpstreamUnreachable", "UpstreamTLSFailed"]


@pytest.mark.parametrize("words", ["a\r\nlevel=error b", "\x1b[31mred\x1b[0m", "\u202eevil", "x" * 10_000, "\0"])
def test_the_message_of_a_server_becomes_one_harmless_line(words: str) -> None:
    shown = printable(words)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= MESSAGE_LIMIT
