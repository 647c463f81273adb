"""A legacy client's request as a modern server reads it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import methods

from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.bridge.to_modern import (
    Handling,
    LegacyClient,
    envelope,
    handling,
    modern_params,
    modern_request,
)

VERSION, CAPABILITIES, INFO, LEVEL = (
    f"io.modelcontextprotocol/{name}" for name in ("protocolVersion", "clientCapabilities", "clientInfo", "logLevel")
)
CLIENT = LegacyClient({"elicitation": {}, "roots": {"listChanged": True}}, {"name": "me", "version": "1"}, "warning")

keys = st.sampled_from(["progressToken", VERSION, CAPABILITIES, INFO, LEVEL, "io.modelcontextprotocol/x", "mine"])
values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))
metas = st.dictionaries(keys, values)


def test_a_request_carries_what_its_session_told() -> None:
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "t", "arguments": {"a": 1}}}

    request = modern_request(body, CLIENT)

    meta = {
        VERSION: "2026-07-28",
        CAPABILITIES: {"elicitation": {}, "roots": {"listChanged": True}},
        INFO: {"name": "me", "version": "1"},
        LEVEL: "warning",
    }
    assert request == {**body, "params": {"name": "t", "arguments": {"a": 1}, "_meta": meta}}
    assert body["params"] == {"name": "t", "arguments": {"a": 1}}, "the message itself stays as it was judged"


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "prompts/get", "resources/read", "completion/complete"])
def test_the_official_types_accept_the_request(method: str) -> None:
    every: dict[str, dict[str, Any]] = {
        "tools/list": {"cursor": "c"},
        "tools/call": {"name": "t", "arguments": {}},
        "prompts/get": {"name": "p"},
        "resources/read": {"uri": "a://b"},
        "completion/complete": {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}},
    }

    methods.validate_client_request(method, "2026-07-28", modern_params(every[method], CLIENT))


@given(metas)
def test_a_client_cannot_write_the_envelope_itself(meta: dict[str, Any]) -> None:
    written = modern_params({"_meta": meta}, CLIENT)["_meta"]

    own = {name: each for name, each in written.items() if name.startswith("io.modelcontextprotocol/")}
    assert own == envelope(CLIENT)
    assert {name: each for name, each in written.items() if name not in own} == {
        name: each for name, each in meta.items() if not name.startswith("io.modelcontextprotocol/")
    }


def test_tasks_are_not_bridged() -> None:
    assert "task" not in modern_params({"name": "t", "task": {"ttl": 1}}, CLIENT)
    assert handling("tasks/get") is Handling.REFUSED


def test_the_members_of_an_input_are_the_gateways_own() -> None:
    written = modern_params({"name": "t", "requestState": "forged", "inputResponses": {"a": {}}}, CLIENT)

    assert written.keys() == {"name", "_meta"}


def test_a_client_without_session_has_told_nothing() -> None:
    assert envelope(LegacyClient()) == {VERSION: "2026-07-28", CAPABILITIES: {}}
    assert INFO not in envelope(LegacyClient(info={"name": "no version"}))


def test_every_legacy_method_is_forwarded_only_if_the_modern_era_has_it() -> None:
    for name, method in METHODS.items():
        if method.legacy and handling(name) is Handling.FORWARDED:
            assert method.modern, name
    assert {name for name in METHODS if handling(name) is Handling.LOCAL} == {
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
    }
