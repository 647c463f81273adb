"""The features that every Python client of the compatibility table runs, and the report of their outcome.

A driver (`python_v1.py`, `python_v2.py`, `fastmcp_client.py`) gives an `Agent` to `main`, which runs each feature and
prints one JSON object: the feature's name and either `{"ok": true}` or `{"error": why}`. It runs in a virtual
environment of its own, so this module knows the standard library only.
"""

import argparse
import asyncio
import json
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from timeouts import TIMEOUT_SECONDS

LEGACY, MODERN = "2025-11-25", "2026-07-28"
WATCHED = "test://watched-resource"
ROOT = "file:///home/agent"
MODEL_SAYS = "I am a model"
USER_SAYS = "I am a user"
_SECONDS = TIMEOUT_SECONDS / 2

OnProgress = Callable[[float, float | None], Awaitable[None]]


class Agent(ABC):
    """An open session of one client. It answers sampling, elicitation and roots by the constants above.

    Attributes:
        notifications: the method and the parameters of each notification that came.
        asks: the revision by which the server asks back, which behind a bridge is not that of the client.
    """

    asks = ""

    def __init__(self) -> None:
        self.notifications: list[tuple[str, dict[str, Any]]] = []

    def hear(self, method: str, **params: Any) -> None:
        """Take down a notification."""
        self.notifications.append((method, params))

    def methods(self) -> list[str]:
        """The methods of all notifications that came."""
        return [method for method, _ in self.notifications]

    @abstractmethod
    def revision(self) -> str:
        """The negotiated revision."""

    @abstractmethod
    async def page(self, cursor: str | None) -> tuple[list[str], str | None]:
        """The names on one page of tools, and the next cursor."""

    @abstractmethod
    async def call(self, name: str, arguments: dict[str, Any] | None = None, progress: OnProgress | None = None) -> str:
        """Call a tool; the first text of its result."""

    @abstractmethod
    async def abandon(self, call: "asyncio.Task[str]") -> None:
        """Cancel a call in flight, as this client does it."""

    @abstractmethod
    async def ask_for_logs(self) -> None:
        """Ask for log messages from level info, for the session or for the calls from now on."""

    @abstractmethod
    async def watch(self) -> None:
        """Subscribe to the watched resource (before 2026-07-28)."""

    @abstractmethod
    def listen(self) -> AbstractAsyncContextManager[None]:
        """Listen for changes of the tools and of the watched resource, and `hear` them (2026-07-28)."""


def answer(schema: dict[str, Any]) -> dict[str, Any]:
    """What the user answers to an elicitation."""
    return {name: _value(each) for name, each in schema.get("properties", {}).items()}


def _value(schema: dict[str, Any]) -> Any:
    return True if schema.get("type") == "boolean" else USER_SAYS


async def _until(condition: Callable[[], bool], step: Callable[[], Awaitable[Any]] | None = None) -> None:
    """Wait until something holds; `step` is done again and again, for a stream may open after it was done first."""
    deadline = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing in {_SECONDS:g} s")
        if step is not None:
            await step()
        await asyncio.sleep(0.02)


def _expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"wanted {wanted!r}, got {found!r}")


async def _connects(agent: Agent, revision: str) -> None:
    _expect(agent.revision(), revision)


async def _lists(agent: Agent, _revision: str) -> dict[str, Any]:
    names, cursor, sizes = [], None, []
    while True:
        page, cursor = await agent.page(cursor)
        names += page
        sizes.append(len(page))
        if cursor is None:
            return {"names": sorted(names), "pages": sizes}


async def _calls(agent: Agent, _revision: str) -> None:
    _expect(await agent.call("test_simple_text"), "This is a simple text response for testing.")


async def _progresses(agent: Agent, _revision: str) -> None:
    seen: list[float] = []

    async def note(done: float, _total: float | None) -> None:
        seen.append(done)

    await agent.call("test_tool_with_progress", progress=note)
    _expect(seen, [0, 50, 100])


async def _cancels(agent: Agent, _revision: str) -> None:
    before = await agent.call("test_count_cancelled")
    started = asyncio.Event()

    async def note(_done: float, _total: float | None) -> None:
        started.set()

    call = asyncio.ensure_future(agent.call("test_wait_for_cancel", progress=note))
    async with asyncio.timeout(_SECONDS):
        await started.wait()
    await agent.abandon(call)
    after = [before]

    async def count() -> None:
        after[0] = await agent.call("test_count_cancelled")

    await _until(lambda: int(after[0]) == int(before) + 1, count)


async def _samples(agent: Agent, _revision: str) -> None:
    if agent.asks == MODERN:
        result = await agent.call("test_input_required_result_sampling")
        return _expect(result, f"You said: {MODEL_SAYS} ({MODEL_SAYS})")
    return _expect(await agent.call("test_sampling", {"prompt": "Who are you?"}), f"LLM response: {MODEL_SAYS}")


async def _elicits(agent: Agent, _revision: str) -> None:
    if agent.asks == MODERN:
        result = await agent.call("test_input_required_result_elicitation")
        return _expect(result, f"Hello, {USER_SAYS}! ({USER_SAYS})")
    result = await agent.call("test_elicitation", {"message": "Who are you?"})
    return _expect(result.startswith("User response: action=accept") and USER_SAYS in result, True)


async def _roots(agent: Agent, _revision: str) -> None:
    if agent.asks == MODERN:
        return _expect(await agent.call("test_input_required_result_list_roots"), f"You said: {ROOT} ({ROOT})")
    return _expect(await agent.call("test_list_roots"), f"Roots: {ROOT}")


async def _subscribes(agent: Agent, revision: str) -> None:
    async def change() -> None:
        await agent.call("test_touch_resource")

    await _receives(agent, revision, ("notifications/resources/updated", {"uri": WATCHED}), change)


async def _list_changes(agent: Agent, revision: str) -> None:
    wanted: tuple[str, dict[str, Any]] = ("notifications/tools/list_changed", {})
    is_changed = False

    async def change() -> None:
        nonlocal is_changed
        await agent.call("test_trigger_tool_change")
        is_changed = not is_changed
        # There and back at once would be no change for a gateway that compares lists, at most once a second.
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await _until(lambda: wanted in agent.notifications)

    await _receives(agent, revision, wanted, change)
    if is_changed:  # the next one finds the same tools
        await agent.call("test_trigger_tool_change")


async def _receives(
    agent: Agent, revision: str, wanted: tuple[str, dict[str, Any]], change: Callable[[], Awaitable[None]]
) -> None:
    agent.notifications.clear()
    if revision == MODERN:
        async with agent.listen():
            return await _until(lambda: wanted in agent.notifications, change)
    await agent.watch()
    return await _until(lambda: wanted in agent.notifications, change)


async def _logs(agent: Agent, _revision: str) -> None:
    await agent.ask_for_logs()
    agent.notifications.clear()
    await agent.call("test_tool_with_logging")
    await _until(lambda: agent.methods().count("notifications/message") == 3)


async def _resumes(agent: Agent, _revision: str) -> None:
    _expect(await agent.call("test_reconnection"), "Reconnection test completed")


async def _multi_round_trip(agent: Agent, _revision: str) -> None:
    _expect(await agent.call("test_input_required_result_multi_round"), f"Your favourite colour is {USER_SAYS}")


async def _listens(agent: Agent, _revision: str) -> None:
    async with agent.listen():
        await _calls(agent, MODERN)


Feature = Callable[[Agent, str], Awaitable[Any]]
_ALWAYS: dict[str, Feature] = {
    "connect": _connects,
    "list": _lists,
    "call": _calls,
    "progress": _progresses,
    "cancel": _cancels,
    "sampling": _samples,
    "elicitation": _elicits,
    "roots": _roots,
    "subscription": _subscribes,
    "list_changed": _list_changes,
    "logging": _logs,
}
_OF = {LEGACY: {"resumption": _resumes}, MODERN: {"mrtr": _multi_round_trip, "listen": _listens}}
_ACROSS = {LEGACY: {"mrtr": _multi_round_trip}, MODERN: {"listen": _listens}}
"""By the revision of the client, where the server has another."""


async def _run(opened: AbstractAsyncContextManager[Agent], revision: str, asks: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    more = _OF[revision] if asks == revision else _ACROSS[revision]
    async with opened as agent:
        agent.asks = asks
        for name, feature in {**_ALWAYS, **more}.items():
            try:
                async with asyncio.timeout(2 * _SECONDS):
                    detail = await feature(agent, revision)
                found[name] = {"ok": True} | (detail or {})
            except Exception as error:  # noqa: BLE001  whatever a client raises is its outcome
                found[name] = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()[-2000:]}
    return found


def main(opened: Callable[[str, str], AbstractAsyncContextManager[Agent]]) -> None:
    """Run every feature of a revision and print the outcomes.

    Args:
        opened: opens a session, given the endpoint and the revision.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--revision", choices=(LEGACY, MODERN), required=True)
    parser.add_argument("--server-revision", choices=(LEGACY, MODERN))
    arguments = parser.parse_args()
    asks = arguments.server_revision or arguments.revision
    found = asyncio.run(_run(opened(arguments.url, arguments.revision), arguments.revision, asks))
    print(json.dumps(found))
