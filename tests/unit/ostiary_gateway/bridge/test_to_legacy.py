"""A modern client's request as a legacy server reads it."""

from typing import Any, Final

import pytest

from ostiary_gateway.bridge import to_legacy
from ostiary_gateway.bridge.to_legacy import LegacyHandling, initialize_params, legacy_handling, legacy_params

OWN: Final = "io.modelcontextprotocol/"
ENVELOPE: Final = {
    OWN + "protocolVersion": "2026-07-28",
    OWN + "clientCapabilities": {
        "elicitation": {"form": {}},
        "tasks": {},
        "roots": 7,
        "extensions": {OWN + "ui": {}, OWN + "tasks": {}, "x": 1},
    },
    OWN + "clientInfo": {"name": "client", "version": "2"},
    OWN + "logLevel": "info",
}
GATEWAY: Final = {"name": "ostiary", "version": "1"}


def test_a_session_is_opened_with_what_the_caller_declares_and_nothing_else() -> None:
    assert initialize_params(ENVELOPE, gateway=GATEWAY) == {
        "protocolVersion": "2025-11-25",
        "capabilities": {"elicitation": {"form": {}}, "extensions": {OWN + "ui": {}}},
        "clientInfo": {"name": "client", "version": "2"},
    }


@pytest.mark.parametrize("meta", [{}, {OWN + "clientCapabilities": 7, OWN + "clientInfo": {"name": 1}}])
def test_a_caller_that_declares_nothing_gets_a_session_without_capabilities(meta: dict[str, Any]) -> None:
    params = initialize_params(meta, gateway=GATEWAY)
    assert (params["capabilities"], params["clientInfo"]) == ({}, GATEWAY)


def test_params_lose_what_only_the_modern_era_has() -> None:
    params = {
        "name": "a",
        "arguments": {"x": 1},
        "inputResponses": {},
        "requestState": "s",
        "task": {},
        "_meta": ENVELOPE,
    }
    assert legacy_params(params, token=None) == {"name": "a", "arguments": {"x": 1}}
    assert params["_meta"] is ENVELOPE, "the caller's message stays as it is"


def test_a_progress_token_is_replaced_and_other_metadata_stays() -> None:
    params = {"_meta": {**ENVELOPE, "progressToken": 1, "own": 2}}
    assert legacy_params(params, token="t") == {"_meta": {"progressToken": "t", "own": 2}}
    assert to_legacy.progress_token(params) == 1
    assert to_legacy.progress_token({"_meta": {"progressToken": [1]}}) is None
    assert legacy_params({"_meta": ENVELOPE}, token="t") == {}


@pytest.mark.parametrize(("meta", "level"), [(ENVELOPE, "info"), ({}, ""), ({OWN + "logLevel": "loud"}, ""), (7, "")])
def test_a_log_level_is_one_of_the_protocol(meta: Any, level: str) -> None:
    assert to_legacy.log_level({"_meta": meta}) == level


def test_a_lower_level_lets_more_through() -> None:
    assert to_legacy.is_lower("debug", than="info")
    assert to_legacy.is_lower("emergency", than="")
    assert not to_legacy.is_lower("info", than="info")
    assert not to_legacy.is_lower("", than="info")


@pytest.mark.parametrize(
    ("method", "handling"),
    [
        ("tools/call", LegacyHandling.FORWARDED),
        ("completion/complete", LegacyHandling.FORWARDED),
        ("server/discover", LegacyHandling.DISCOVERED),
        ("subscriptions/listen", LegacyHandling.LISTENED),
        ("notifications/cancelled", LegacyHandling.ACCEPTED),
        ("tasks/get", LegacyHandling.REFUSED),
    ],
)
def test_each_method_has_its_handling(method: str, handling: LegacyHandling) -> None:
    assert legacy_handling(method) is handling
