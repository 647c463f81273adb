"""Which lists an edit of a policy may have changed, and that a stream gets one notice."""

import asyncio
import gc
import json
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from gateways import policy
from mcp_caller import modern, modern_headers
from multidict import CIMultiDict
from visibilities import visibility_by_rules, visibility_of

from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.pipeline import list_changed_notifications
from ostiary_gateway.pipeline.decode import decode
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.list_changed_notifications import ListNotices, changed_lists

TOOLS, RESOURCES, PROMPTS = Primitive.TOOLS, Primitive.RESOURCES, Primitive.PROMPTS
NONE: frozenset[Primitive] = frozenset()
ALL = frozenset(Primitive)


class Sender:
    """A stream, as far as its notices know it."""

    def __init__(self, told: Callable[[], None]) -> None:
        self.send_notices = told


def allow(**what: Any) -> dict[str, Any]:
    return {"name": "r", "effect": "Allow", **what}


def deny(**what: Any) -> dict[str, Any]:
    return {"name": "r", "effect": "Deny", **what}


ONE = {"names": ["get_users"]}
TWO = {"names": ["get_users", "echo"]}
EDITS: dict[str, tuple[Visibility, Visibility, frozenset[Primitive]]] = {
    "nothing": (visibility_by_rules(allow(tools=ONE)), visibility_by_rules(allow(tools=ONE)), NONE),
    "one more tool": (visibility_by_rules(allow(tools=ONE)), visibility_by_rules(allow(tools=TWO)), frozenset({TOOLS})),
    "a rule's name": (
        visibility_by_rules(allow(tools=ONE)),
        visibility_by_rules({**allow(tools=ONE), "name": "other"}),
        NONE,
    ),
    "who may call": (visibility_by_rules(deny(tools={"verbs": ["Call"]})), visibility_by_rules(), ALL),
    "who may call, and no more": (visibility_of(), visibility_by_rules(deny(tools={"verbs": ["Call"]})), NONE),
    "a first policy that denies a tool": (visibility_of(), visibility_by_rules(deny(tools=ONE)), frozenset({TOOLS})),
    "a first policy that allows one": (visibility_of(), visibility_by_rules(allow(tools=ONE)), ALL),
    "a further policy without rules for lists": (
        visibility_of(policy("a", allow(tools=ONE))),
        visibility_of(policy("a", allow(tools=ONE)), policy("b", deny(resources={"verbs": ["Read"]}))),
        NONE,
    ),
    "the tier": (
        visibility_of(policy("a", allow(tools=ONE))),
        visibility_of(policy("a", allow(tools=ONE), tier="platform")),
        ALL,
    ),
    "the catalogue": (visibility_of(), visibility_of(catalogue={"prompts": {"exclude": ["x"]}}), frozenset({PROMPTS})),
    "an invalid policy": (visibility_of(), visibility_of(invalid=True), ALL),
    "no policy any more, where that means no": (
        visibility_by_rules(allow(tools=ONE)),
        visibility_of(default="Deny"),
        ALL,
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_the_lists_whose_rules_differ(name: str) -> None:
    old, new, changed = EDITS[name]

    assert changed_lists(old, new) == changed
    assert changed_lists(old, new) == changed  # as remembered


def test_what_is_remembered_of_a_comparison_keeps_no_old_policy() -> None:
    old, new = visibility_by_rules(allow(tools=ONE)), visibility_by_rules(allow(tools=TWO))
    changed_lists(old, new)
    gone = weakref.ref(old)
    del old
    gc.collect()

    assert gone() is None


def exchange(params: dict[str, Any] | None) -> Exchange:
    """A listen with this filter, or a session's GET."""
    found = Exchange(None, None, None)  # type: ignore[arg-type]  # notices ask for the message alone
    if params is not None:
        body = modern("subscriptions/listen", {"notifications": params}, id=5)
        found.message = decode(body, CIMultiDict(modern_headers(body)), lambda: None)
        found.request_id = 5
    return found


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_changed_notifications, "QUIET_SECONDS", 0)
    monkeypatch.setattr(list_changed_notifications, "SPREAD_SECONDS", 0)


def methods(events: bytes) -> list[str]:
    return [json.loads(line[6:])["method"] for line in events.decode().splitlines() if line.startswith("data: ")]


@pytest.mark.usefixtures("at_once")
async def test_edits_in_quick_succession_are_reported_once() -> None:
    notices, ready = ListNotices(exchange(None)), asyncio.Event()
    notices.sender = Sender(ready.set)
    for old, new in ((ONE, TWO), (TWO, ONE), (ONE, TWO)):
        notices.compare(visibility_by_rules(allow(tools=old)), visibility_by_rules(allow(tools=new)))
        assert notices.take() == b""
    await ready.wait()

    assert methods(notices.take()) == ["notifications/tools/list_changed"]
    assert notices.take() == b""


@pytest.mark.usefixtures("at_once")
async def test_a_subscription_gets_notices_only_after_its_acknowledgement_and_only_requested_ones() -> None:
    notices, ready = ListNotices(exchange({"toolsListChanged": True, "promptsListChanged": 1})), asyncio.Event()
    notices.sender = Sender(ready.set)
    notices.compare(visibility_of(), visibility_of(invalid=True))
    await ready.wait()
    assert notices.take() == b""

    ack = {
        "jsonrpc": "2.0",
        "method": list_changed_notifications.ACKNOWLEDGED,
        "params": {"notifications": {"toolsListChanged": True}},
    }
    text = json.dumps(ack).encode()
    assert notices.acknowledged(text, ack, frozenset({TOOLS})) is text
    assert methods(notices.take()) == ["notifications/tools/list_changed"]


@pytest.mark.parametrize("params", [None, [], {}, {"notifications": None}, {"notifications": [1]}])
async def test_an_acknowledgement_of_another_shape_passes_as_it_is(params: Any) -> None:
    text = b"{}"

    assert ListNotices(exchange({"toolsListChanged": True})).acknowledged(text, {"params": params}, ALL) is text


async def test_an_ended_stream_gets_no_notice() -> None:
    notices = ListNotices(exchange(None))
    notices.sender = Sender(lambda: pytest.fail("told"))
    notices.compare(visibility_of(), visibility_by_rules())
    notices.close()
    assert notices._timer is not None
    assert notices._timer.cancelled()
