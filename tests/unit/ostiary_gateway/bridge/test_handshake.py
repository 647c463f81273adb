"""The answer to a legacy client's ``initialize``, out of what a modern server told of itself."""

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from mcp_types._v2025_11_25 import InitializeResult

from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS
from ostiary_gateway.bridge.handshake import initialize_result, legacy_capabilities, negotiated_revision

CAPABILITIES: Final[dict[str, dict[str, Any]]] = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "logging": {},
    "extensions": {"io.modelcontextprotocol/tasks": {}, "io.modelcontextprotocol/ui": {"mimeTypes": ["text/html"]}},
}
DISCOVERED: Final[dict[str, Any]] = {
    "resultType": "complete",
    "ttlMs": 0,
    "cacheScope": "public",
    "supportedVersions": ["2026-07-28"],
    "capabilities": CAPABILITIES,
    "instructions": "Be kind.",
    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "crm", "version": "3", "title": "CRM"}},
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(["capabilities", "instructions", "_meta", "serverInfo", "supportedVersions"])
offers = st.dictionaries(st.sampled_from(["tools", "resources", "logging", "extensions", "tasks"]), json_values)


def test_initialize_is_answered_in_the_revision_of_the_client() -> None:
    result = initialize_result(DISCOVERED, asked="2025-06-18", keeps_notes=True)

    assert result == {
        "protocolVersion": "2025-06-18",
        "capabilities": {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "logging": {},
            "extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html"]}},
        },
        "serverInfo": {"name": "crm", "version": "3", "title": "CRM"},
        "instructions": "Be kind.",
    }
    InitializeResult.model_validate(result)


def test_without_notes_nothing_is_advertised_that_must_be_remembered() -> None:
    offered = legacy_capabilities(CAPABILITIES, keeps_notes=False)

    assert "logging" not in offered
    assert offered["resources"] == {"listChanged": True}
    assert CAPABILITIES["resources"]["subscribe"] is True, "what the server told stays as it is"


def test_a_revision_without_handshake_is_not_negotiated() -> None:
    others: list[Any] = ["2026-07-28", "2199-01-01", None, 7, [], {}]
    assert set(map(negotiated_revision, others)) == {"2025-11-25"}
    assert {negotiated_revision(asked) for asked in LEGACY_REVISIONS} == LEGACY_REVISIONS


@given(st.dictionaries(members, json_values | offers), json_values, st.booleans())
def test_whatever_a_server_tells_the_answer_is_an_initialize_result(
    discovered: dict[str, Any], asked: Any, keeps_notes: bool
) -> None:
    result = initialize_result(discovered, asked=asked, keeps_notes=keeps_notes)

    assert result["protocolVersion"] in LEGACY_REVISIONS
    assert result["serverInfo"].keys() >= {"name", "version"}
    assert all(isinstance(each, dict) for each in result["capabilities"].values())
    assert "tasks" not in result["capabilities"]
