"""What is kept of the definitions of servers."""

import gc
from typing import Any

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.json_schema.price import MOST_BYTES
from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.pipeline.large_messages import at_once
from ostiary_gateway.pipeline.tool_definitions.definition_store import (
    MOST_DEFINITIONS,
    PROMPTS_LIST,
    TOOLS_LIST,
    DefinitionStore,
    KnownDefinition,
)
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.server import UpstreamServer

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def server() -> UpstreamServer:
    timeouts = {"connect": 1, "request": 1, "idle": 1}
    document = ServerConfig.model_validate({"name": "crm", "url": "http://crm.example/mcp", "timeouts": timeouts})
    return UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="a/b", mark="m")


def tool(name: Any = "add", schema: Any = SCHEMA, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": schema, **more}


class Known:
    def __init__(self, **bounds: int) -> None:
        self.store = DefinitionStore(**bounds)
        self.server = server()

    def learn(self, *tools: Any, context: object = None, wanted: str = "") -> None:
        at_once(self.store.learning(self.server, context, TOOLS_LIST, {"tools": list(tools)}, wanted=wanted))

    def find(self, name: str = "add", context: object = None) -> KnownDefinition | None:
        return self.store.find(self.server, context, TOOLS_LIST.name, name)


def test_what_a_list_says_of_a_tool_is_kept() -> None:
    known = Known()
    known.learn(tool(outputSchema={"type": "object"}))

    found = known.find()
    assert found is not None
    assert (found.input_schema, found.output_schema) == (
        b'{"type":"object","properties":{"a":{"type":"integer"}}}',
        b'{"type":"object"}',
    )
    assert known.find("sub") is None


def test_a_later_list_replaces_what_was_known() -> None:
    known = Known()
    known.learn(tool())
    known.learn(tool(schema={}))

    found = known.find()
    assert found is not None
    assert found.input_schema == b"{}"


def test_what_one_credential_was_shown_is_unknown_under_another() -> None:
    known = Known()
    known.learn(tool(), context="alice")

    assert known.find(context="bob") is None
    assert known.find(context="alice") is not None


def test_arguments_of_prompts_are_kept() -> None:
    known = Known()
    arguments = [{"name": "city", "required": True}, {"name": "unit"}, 5, {"name": 5}]
    listed = {"prompts": [{"name": "weather", "arguments": arguments}]}
    at_once(known.store.learning(known.server, None, PROMPTS_LIST, listed))

    found = known.store.find(known.server, None, PROMPTS_LIST.name, "weather")
    assert found is not None
    assert found.arguments == {"city": True, "unit": False}


def test_items_that_are_no_definitions_are_passed_over() -> None:
    known = Known()
    known.learn(5, None, [], tool(name=5), tool(name=""), tool(name="x" * 10_000), {"name": "bare"})

    found = known.find("bare")
    assert found == KnownDefinition()
    result: Any
    for result in (None, [], {"tools": 5}, {"tools": None}, {}):
        at_once(known.store.learning(known.server, None, TOOLS_LIST, result))
    at_once(known.store.learning(known.server, None, METHODS["resources/list"], {"resources": [{"name": "r"}]}))


def test_a_schema_that_is_too_large_is_kept_as_one_that_cannot_be_checked() -> None:
    known = Known()
    known.learn(tool(schema={"description": "x" * MOST_BYTES}), tool("huge", {"const": 2**70}))

    for name in ("add", "huge"):
        found = known.find(name)
        assert found is not None
        assert found.input_schema == b""


def test_a_list_of_ten_thousand_tools_takes_a_bounded_room_and_keeps_the_one_that_is_wanted() -> None:
    known = Known()
    known.learn(*(tool(f"t{number}") for number in range(10_000)), wanted="t9999")

    assert known.find("t9999") is not None
    assert known.find("t0") is not None
    assert known.find(f"t{MOST_DEFINITIONS}") is None


def test_the_least_recently_used_go_first() -> None:
    known = Known(each=3 * 1024)
    known.learn(*(tool(f"t{number}") for number in range(4)))
    known.find("t0")
    known.learn(tool("t4"), tool("t5"))

    assert known.find("t0") is not None
    assert known.find("t1") is None
    assert known.store.held <= 3 * 1024


def test_what_is_known_of_a_server_ends_with_it() -> None:
    known = Known()
    known.learn(tool())
    known.server = server()
    gc.collect()

    assert known.store.held == 0


def test_a_list_that_was_asked_for_is_not_asked_for_again_until_then() -> None:
    known = Known()
    assert not known.store.was_listed(known.server, None, TOOLS_LIST.name)

    known.store.of(known.server).note_listed(None, TOOLS_LIST.name, until=float("inf"))
    assert known.store.was_listed(known.server, None, TOOLS_LIST.name)
    assert not known.store.was_listed(known.server, "alice", TOOLS_LIST.name)
    for number in range(2000):
        known.store.of(known.server).note_listed(number, TOOLS_LIST.name, until=0.0)
    assert not known.store.was_listed(known.server, 0, TOOLS_LIST.name)
