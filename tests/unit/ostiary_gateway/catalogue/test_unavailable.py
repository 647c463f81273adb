"""A list that lacks a server says so, and is not kept."""

from ostiary_gateway.catalogue.unavailable import (
    FILTERED_TO_EMPTY,
    Unavailable,
    with_cause,
    with_unavailable,
)

CRM = Unavailable("crm_", "UpstreamTimeout")


def test_a_missing_server_is_named_with_its_reason() -> None:
    found = with_unavailable({"tools": [], "_meta": {"a": 1}, "ttlMs": 5, "cacheScope": "public"}, [CRM])
    assert found["_meta"] == {"a": 1, "dev.ostiary/unavailable": [{"prefix": "crm_", "reason": "UpstreamTimeout"}]}
    assert found["ttlMs"] == 0


def test_a_list_of_an_earlier_revision_gets_no_hint() -> None:
    assert "ttlMs" not in with_unavailable({"tools": []}, [CRM])


def test_a_whole_list_is_unchanged() -> None:
    result = {"tools": [], "ttlMs": 5}
    assert with_unavailable(result, []) is result


def test_an_empty_list_says_why() -> None:
    assert with_cause({"tools": []}, FILTERED_TO_EMPTY) == {
        "tools": [],
        "_meta": {"dev.ostiary/empty": "FilteredToEmpty"},
    }
