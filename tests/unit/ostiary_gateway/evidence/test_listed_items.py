"""What a server lists is kept whole, and only what changed is learned again."""

from typing import Any, cast

import pytest

from ostiary_core.mcp.methods import METHODS, Primitive
from ostiary_gateway.evidence.listed_items import ListedDefinitions
from ostiary_gateway.pipeline.list_observation import observe
from ostiary_gateway.pipeline.read_only_tools import READ_ONLY
from ostiary_gateway.upstream.known_names import KnownNames

TOOLS = METHODS["tools/list"]


class Server:
    """What of a server the learning from its lists reads."""

    retry = None

    def __init__(self) -> None:
        self.known = KnownNames()


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


def learned(listed: ListedDefinitions, server: Server, *items: Any) -> list[Any]:
    return [
        item["name"] if isinstance(item, dict) else item
        for item in listed.learn(cast("Any", server), TOOLS, list(items))
    ]


def test_only_new_and_changed_items_are_learned_again() -> None:
    listed, server = ListedDefinitions(), Server()

    assert learned(listed, server, tool("a"), tool("b")) == ["a", "b"]
    assert learned(listed, server, tool("b"), tool("a")) == []
    assert learned(listed, server, tool("a", title="A"), tool("b"), tool("c")) == ["a", "c"]
    texts = listed.of(cast("Any", server))
    assert texts is not None
    assert set(texts.by_primitive[Primitive.TOOLS]) == {"a", "b", "c"}
    assert b'"title":"A"' in texts.by_primitive[Primitive.TOOLS]["a"]


def test_an_item_that_was_listed_differently_in_between_is_learned_again() -> None:
    listed, server = ListedDefinitions(), Server()
    learned(listed, server, tool("a"))

    assert learned(listed, server, tool("a", title="A")) == ["a"]
    assert learned(listed, server, tool("a")) == ["a"]


@pytest.mark.parametrize("odd", ["a text", None, {"name": ["a list"]}, {"name": "x", "size": 2**70}])
def test_where_one_is_no_item_all_are_learned(odd: Any) -> None:
    listed, server = ListedDefinitions(), Server()
    learned(listed, server, tool("a"))

    assert listed.learn(cast("Any", server), TOOLS, [tool("a"), odd]) == [tool("a"), odd]


def test_an_item_that_is_too_large_to_be_kept_is_learned_each_time() -> None:
    listed, server = ListedDefinitions(), Server()
    large = tool("a", description="x" * (2 << 20))

    assert learned(listed, server, large) == ["a"]
    assert learned(listed, server, large) == ["a"]


def test_a_tool_is_read_only_as_it_was_listed_last() -> None:
    server = cast("Any", Server())

    def listing(*, reads_only: bool) -> bool:
        item = tool("a", annotations={"readOnlyHint": reads_only})
        observe(server, TOOLS, b"", {"result": {"tools": [item, tool("b")]}})
        return READ_ONLY.has(server, "a")

    assert [listing(reads_only=each) for each in (True, True, False, False, True)] == [True, True, False, False, True]
    assert server.known.tools == {"a", "b"}
