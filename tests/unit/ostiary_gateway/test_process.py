"""How the process of a gateway is set up."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from ostiary_core import strict_json
from ostiary_gateway.process import tune_collector


@pytest.fixture
def collections() -> Iterator[list[str]]:
    """The collections that run during the test; its settings are restored afterwards."""
    seen: list[str] = []
    threshold = gc.get_threshold()

    def note(phase: str, _: dict[str, Any]) -> None:
        seen.append(phase)

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_reading_a_large_list_does_not_call_the_garbage_collector(collections: list[str]) -> None:
    tools = [{"name": f"t{n}", "inputSchema": {"type": "object", "properties": {"a": {}}}} for n in range(500)]
    text = strict_json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}})
    gc.collect()
    tune_collector()
    collections.clear()

    for _ in range(20):
        strict_json.loads(text)

    assert collections == []
