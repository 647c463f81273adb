"""Empty lists are counted by proxy and cause, and logged without flooding the log."""

import logging

import pytest

from ostiary_gateway.telemetry.empty_lists import EmptyLists


def test_each_empty_list_counts_and_each_cause_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    lists = EmptyLists()
    with caplog.at_level(logging.INFO):
        for cause in ("FilteredToEmpty", "FilteredToEmpty", "UpstreamEmpty"):
            lists.note("ns/p", "tools/list", cause)

    assert lists.counts == {("ns/p", "FilteredToEmpty"): 2, ("ns/p", "UpstreamEmpty"): 1}
    assert [record.getMessage() for record in caplog.records] == [
        "proxy ns/p: a caller got an empty answer to tools/list: FilteredToEmpty",
        "proxy ns/p: a caller got an empty answer to tools/list: UpstreamEmpty",
    ]


def test_a_proxy_that_is_gone_is_forgotten() -> None:
    lists = EmptyLists()
    lists.note("ns/p", "tools/list", "UpstreamEmpty")
    lists.note("ns/q", "tools/list", "UpstreamEmpty")
    lists.forget(frozenset({"ns/p"}))
    assert lists.counts == {("ns/q", "UpstreamEmpty"): 1}
