"""What is known of usual calls ends with its caller and its config, and callers cannot make it grow."""

import gc
from collections.abc import Mapping
from typing import Any

import pytest
from configs import entry, settings

from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_core.mcp.methods import METHODS
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.decision_cache import NAME_LENGTH
from ostiary_core.policy.principal import Principal
from ostiary_gateway.config import usual_calls
from ostiary_gateway.config.runtime import ProxyRuntime, build_runtime
from ostiary_gateway.config.snapshot import Snapshot, build_snapshot
from ostiary_gateway.config.usual_calls import UsualCalls
from ostiary_gateway.upstream.known_names import KnownNames

ALLOWED = Decision(True, DecisionReason.ALLOWED, "default/p", "rule")
LIST: Mapping[str, Any] = {"result": {"tools": [{"name": "echo"}]}}


class Server:
    def __init__(self) -> None:
        self.known = KnownNames()


def proxy(name: str = "a") -> ProxyRuntime:
    servers: Any = (Server(),)
    return build_runtime("digest", entry(name).canonical(), lambda _: pytest.fail("no policy"), lambda _: servers)


def caller(name: str = "agent") -> Principal:
    return Principal(id=name, method="apiKey")


def test_a_call_is_known_to_its_caller_proxy_and_tool_only() -> None:
    calls, one, agent = UsualCalls(), proxy(), caller()
    made = calls.learn(agent, one, "echo", ALLOWED)

    assert made is not None
    assert calls.find(agent, one, "echo") is made
    assert made.decision is ALLOWED
    assert calls.find(agent, one, "other") is None
    assert calls.find(agent, proxy("b"), "echo") is None
    assert calls.find(caller(), one, "echo") is None, "one with the same id may have other claims"


def test_no_caller_lives_longer_because_its_calls_are_known() -> None:
    calls, one, agent = UsualCalls(), proxy(), caller()
    made = calls.learn(agent, one, "echo", ALLOWED)
    del agent
    gc.collect()

    assert made is not None
    assert made.principal() is None


def test_a_caller_at_the_address_of_one_that_is_gone_is_not_taken_for_it() -> None:
    calls, one, agent, other = UsualCalls(), proxy(), caller(), caller()
    calls.learn(agent, one, "echo", ALLOWED)
    calls._known = {(id(other), identity, tool): call for (_, identity, tool), call in calls._known.items()}

    assert calls.find(other, one, "echo") is None


def test_names_that_a_caller_invents_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual_calls, "MOST", 8)
    calls, one, agent = UsualCalls(), proxy(), caller()
    for number in range(100):
        calls.learn(agent, one, f"tool-{number}", ALLOWED)
        assert 0 < len(calls) <= 8

    assert calls.learn(agent, one, "x" * (NAME_LENGTH + 1), ALLOWED) is None
    assert calls.learn(agent, one, "x" * NAME_LENGTH, ALLOWED) is not None


def test_a_tool_is_found_out_about_again_once_its_server_has_listed_it() -> None:
    calls, one, agent = UsualCalls(), proxy(), caller()
    calls.learn(agent, one, "echo", ALLOWED)
    calls.learn(agent, one, "other", ALLOWED)
    one.servers[0].known.learn(METHODS["tools/list"], LIST)

    assert calls.find(agent, one, "echo") is None
    assert calls.find(agent, one, "other") is not None
    again = calls.learn(agent, one, "echo", ALLOWED)
    assert again is not None
    assert calls.find(agent, one, "echo") is again


def test_each_config_begins_with_none() -> None:
    first, second = snapshot(1), snapshot(2)
    first.usual_calls.learn(caller(), proxy(), "echo", ALLOWED)

    assert (len(first.usual_calls), len(second.usual_calls)) == (1, 0)


def snapshot(revision: int) -> Snapshot:
    return build_snapshot(GatewayIdentity(namespace="o", name="d"), revision, settings(), {})
