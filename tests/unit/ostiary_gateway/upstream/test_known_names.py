"""Known names: what a server has listed, bounded, and nothing that a caller wrote."""

from typing import Any

from ostiary_core.mcp.methods import METHODS, Primitive
from ostiary_gateway.upstream.known_names import LONGEST_NAME, MOST_NAMES, KnownNames


def listed(*names: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": name} for name in names]}}


def test_the_names_of_a_list_are_known() -> None:
    known = KnownNames()
    known.learn(METHODS["tools/list"], listed("echo", "add"))
    known.learn(METHODS["tools/list"], listed("search"))
    known.learn(METHODS["resources/list"], {"result": {"resources": [{"uri": "file:///a"}]}})

    assert known.tools == {"echo", "add", "search"}
    assert known.of(Primitive.RESOURCES) == {"file:///a"}
    assert known.of(Primitive.PROMPTS) == set()


def test_a_server_cannot_make_known_more_or_longer_names_than_the_bound() -> None:
    known = KnownNames()
    known.learn(METHODS["tools/list"], listed("x" * (LONGEST_NAME + 1), "a\nb", "", 7, None))
    assert known.tools == set()
    for page in range(5):
        known.learn(METHODS["tools/list"], listed(*(f"tool-{page}-{number}" for number in range(400))))
    assert len(known.tools) == MOST_NAMES


def test_an_odd_list_teaches_nothing() -> None:
    known = KnownNames()
    odd: list[dict[str, Any]] = [{}, {"result": 5}, {"result": {"tools": 5}}, {"result": {"tools": [5]}}, {"error": {}}]
    for message in odd:
        known.learn(METHODS["tools/list"], message)
    known.learn(METHODS["tools/call"], listed("echo"))
    known.learn(None, listed("echo"))
    assert known.tools == set()
