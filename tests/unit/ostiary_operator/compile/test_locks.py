"""Which MCPLocks are in force, and what an entry says of pinning."""

from typing import Any

import pytest

from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.locks import (
    decide_locks,
    locks_by_proxy,
)
from ostiary_operator.compile.resource_parser import read_locks, read_proxies


def _lock(name: str = "calc", **spec: Any) -> dict[str, Any]:
    whole = {"proxyRef": {"name": "calc"}, "server": "calc", "tools": ["name: add"], **spec}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPLock",
        "metadata": {"name": name, "namespace": "n"},
        "spec": whole,
    }


_PROXY = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPProxy",
    "metadata": {"name": "calc", "namespace": "n"},
    "spec": {"servers": [{"name": "calc", "url": "http://calc/mcp"}]},
}


def _decided(*locks: dict[str, Any]) -> list[str]:
    decisions = decide_locks(read_locks(locks, Cache()), read_proxies([_PROXY], Cache()), {})
    return [str(each.rejection or each.unresolved or "") for each in decisions]


def test_several_locks_of_a_proxy_are_in_force_in_the_order_of_their_names() -> None:
    decisions = decide_locks(read_locks([_lock("b"), _lock("a")], Cache()), read_proxies([_PROXY], Cache()), {})
    assert [it.config.name for it in next(iter(locks_by_proxy(decisions).values()))] == ["a", "b"]


def test_a_lock_for_a_proxy_that_does_not_exist_suggests_the_nearest_name() -> None:
    (message,) = _decided(_lock(proxyRef={"name": "calk"}))
    assert "there is no MCPProxy n/calk; did you mean calc?" in message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"tools": ["title: x"]}, "spec.tools[0]: has no name"),
        ({"templates": ["uri: a://b"]}, "spec.templates[0]: has no uriTemplate"),
        ({"tools": ["- a"]}, "spec.tools[0]: is not a mapping"),
        ({"tools": [f"name: add\nv: {each}" for each in range(17)]}, "more than 16 definitions of 'add'"),
        ({"tools": ['{"name": "a", "x": "\\ud800"}']}, "spec.tools[0]"),
    ],
)
def test_a_definition_that_cannot_be_read_is_named_by_its_field(spec: dict[str, Any], words: str) -> None:
    (message,) = _decided(_lock(**spec))
    assert words in message


def test_a_new_lock_that_is_invalid_approves_nothing() -> None:
    decisions = decide_locks(read_locks([_lock(tools=["x"])], Cache()), read_proxies([_PROXY], Cache()), {})
    assert locks_by_proxy(decisions) == {}
