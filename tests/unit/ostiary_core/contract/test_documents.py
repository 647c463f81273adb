from typing import Any

import pytest
from pydantic import ValidationError

from ostiary_core.contract.access import AccessRuleConfig, AccessRulesConfig, SelectionConfig
from ostiary_core.contract.bounds import BoundsConfig, ShareConfig
from ostiary_core.contract.documents import (
    EntryDocument,
    PolicyDocument,
    ServerConfig,
    SettingsDocument,
    TimeoutsConfig,
)
from ostiary_core.mcp.methods import Verb

TIMEOUTS = {"connect": 1, "request": 2, "idle": 3}
ENTRY: dict[str, Any] = {
    "namespace": "ns", "name": "e", "uid": "u", "generation": 1, "path": "/ns/e",
    "servers": [{"name": "s", "url": "http://s", "timeouts": TIMEOUTS}],
}  # fmt: skip


def test_absent_members_are_omitted_and_names_are_camel_case() -> None:
    document = EntryDocument.model_validate(ENTRY)

    assert b"null" not in document.canonical()
    assert b'"withoutPolicy":"Allow"' in document.canonical()
    assert EntryDocument.model_validate_json(document.canonical()) == document


def test_a_selection_keeps_the_difference_between_absent_and_listed() -> None:
    rules = [AccessRuleConfig(name="r", effect="Allow", tools=SelectionConfig(verbs=[Verb.LIST]))]
    document = PolicyDocument(
        namespace="ns", name="p", uid="u", generation=1, tier="owner", access=AccessRulesConfig(rules=rules)
    )

    assert b'"tools":{"verbs":["List"]}' in document.canonical()
    assert PolicyDocument.model_validate_json(document.canonical()) == document


def test_present_and_empty_access_is_not_absent_access() -> None:
    base = PolicyDocument(namespace="ns", name="p", uid="u", generation=1, tier="owner")
    empty = base.model_copy(update={"access": AccessRulesConfig(rules=[])})

    assert base.canonical() != empty.canonical()
    assert PolicyDocument.model_validate_json(empty.canonical()).access == AccessRulesConfig(rules=[])


@pytest.mark.parametrize(
    "change",
    [{"surprise": 1}, {"generation": "1"}, {"path": None}, {"withoutPolicy": "Perhaps"}, {"kind": "policy"}],
)
def test_a_document_that_a_reader_would_not_understand_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EntryDocument.model_validate(ENTRY | change)


def test_a_document_cannot_be_changed() -> None:
    document = EntryDocument.model_validate(ENTRY)

    with pytest.raises(ValidationError, match="frozen"):
        document.path = "/elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize("timeouts", [{"connect": 0}, {"request": -1}, {"idle": 0}])
def test_a_timeout_of_nothing_is_refused(timeouts: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        TimeoutsConfig.model_validate(TIMEOUTS | timeouts)


def test_the_endpoint_is_the_path_and_mcp() -> None:
    assert EntryDocument.model_validate(ENTRY).endpoint == "/ns/e/mcp"
    assert EntryDocument.model_validate(ENTRY).servers[0] == ServerConfig(
        name="s", url="http://s", timeouts=TimeoutsConfig(**TIMEOUTS)
    )


def test_settings_that_were_written_before_the_newer_bounds_are_still_understood() -> None:
    text = (
        b'{"allowedOrigins":[],"bounds":{"messageBytes":2,"requestBytes":1,"requestsInFlight":3,'
        b'"sessionMaxAge":5,"streams":4},"kind":"settings"}'
    )

    settings = SettingsDocument.model_validate_json(text)

    assert settings.bounds == BoundsConfig(
        request_bytes=1, message_bytes=2, requests_in_flight=3, streams=4, session_max_age=5
    )
    assert (settings.bounds.connections, settings.bounds.per_source) == (None, ShareConfig())
    assert (settings.bounds.per_server.connections, settings.trusted_proxies) == (1024, [])


def test_what_only_several_servers_need_is_omitted_for_one() -> None:
    entry = EntryDocument.model_validate(ENTRY)

    assert set(entry.model_dump(by_alias=True, exclude_none=True)) & {
        "serverSelection", "onServerFailure", "instructions", "routing", "listCache"
    } == set()  # fmt: skip
    assert set(entry.servers[0].model_dump(by_alias=True, exclude_none=True)) & {"prefix", "protocolVersion"} == set()


def test_several_servers_travel_with_their_prefixes_and_an_empty_prefix_is_not_an_absent_one() -> None:
    servers = [{"name": name, "url": f"http://{name}", "timeouts": TIMEOUTS, "prefix": prefix}
               for name, prefix in (("crm", "crm_"), ("rest", ""))]  # fmt: skip
    merged = EntryDocument.model_validate(ENTRY | {
        "servers": servers, "serverSelection": "Merge", "onServerFailure": "Refuse",
        "instructions": {"mode": "Replace", "text": "Ask crm first."},
        "routing": [{"name": "eu", "when": "true", "servers": ["crm"]}],
        "listCache": {"ttl": 0, "staleIfError": 600_000},
    })  # fmt: skip

    assert b'"prefix":""' in merged.canonical()
    assert EntryDocument.model_validate_json(merged.canonical()) == merged


@pytest.mark.parametrize(
    "change",
    [
        {"servers": []},
        {"servers": ENTRY["servers"] * 17},
        {"serverSelection": "Any"},
        {"onServerFailure": "Partial"},
        {"instructions": {"mode": "Append"}},
        {"routing": [{"name": "eu", "servers": []}]},
        {"routing": [{"name": "eu", "servers": ["s"]}] * 33},
        {"listCache": {"ttl": -1, "staleIfError": 0}},
    ],
)
def test_a_selection_of_servers_that_a_reader_would_not_understand_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EntryDocument.model_validate(ENTRY | change)
