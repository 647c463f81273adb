"""The log of endpoints says why one gets no requests, and is not filled by one that comes and goes."""

import logging

import pytest

from ostiary_gateway.upstream.endpoint_log import EndpointLog


class _Endpoint:
    silent_until, is_logged, title = 0.0, False, "10.0.0.1:80"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_endpoint_that_comes_and_goes_has_one_record_of_each_kind_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock, endpoint = Clock(), _Endpoint()
    log = EndpointLog("server crm", clock)
    for _ in range(30):
        log.out(endpoint, "for 30 s", "it fails")
        log.back(endpoint)
        clock.now += 3.1
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"] * 2
    assert caplog.messages[:2] == [
        "server crm: endpoint 10.0.0.1:80 gets no requests for 30 s: it fails",
        "server crm: endpoint 10.0.0.1:80 gets requests again",
    ]


def test_what_an_endpoint_says_is_one_harmless_line(caplog: pytest.LogCaptureFixture) -> None:
    EndpointLog("server crm").out(_Endpoint(), "for 30 s", "a\nWARNING forged \x1b[31m" + "x" * 1000)
    assert "\n" not in caplog.messages[0]
    assert len(caplog.messages[0]) < 400
