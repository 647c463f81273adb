from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
from console_sources import Objects
from evidence_replicas import NoEvidence

from ostiary_core.evidence.name_use import NameUse, NameUses
from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_core.evidence.recorded_call import CallOutcome, RecordedCall
from ostiary_operator.console.access.rights import LOCAL_VIEWER, Right
from ostiary_operator.console.page import PageContext
from ostiary_operator.console.page_query import PageQuery
from ostiary_operator.console.sources.protocols import ConsoleSources
from ostiary_operator.console.wizard.recorded_use import observed_use
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.reader import ObservedCall, ObservedCalls

PROXY = "sales/old"


@dataclass
class SomeRights:
    """The rights that a test gives, to every object."""

    given: frozenset[Right]

    async def may(self, right: Right, *, namespace: str, name: str) -> bool:
        return right in self.given and f"{namespace}/{name}" == PROXY

    async def visible(self, right: Right, identities: Sequence[str]) -> frozenset[str]:
        return frozenset(identities) if right in self.given else frozenset()


@dataclass
class Evidence(NoEvidence):
    """Calls and counts of a test."""

    found: tuple[RecordedCall, ...] = ()
    names: tuple[NameUse, ...] = ()
    asked: list[str] = field(default_factory=list)

    async def calls(self, *_: Any, **__: Any) -> Gathered[ObservedCalls]:
        self.asked.append("calls")
        return Gathered(ObservedCalls(tuple(ObservedCall("g", "r", each) for each in self.found)), 1, 1)

    async def traffic(self, *_: Any) -> Gathered[dict[str, ProxyTraffic]]:
        self.asked.append("traffic")
        counted = ProxyTraffic(proxy=PROXY, since=1, names=NameUses(since=1, names=self.names))
        return Gathered({PROXY: counted}, 1, 1)


def call(name: str, principal: str, outcome: CallOutcome = CallOutcome.OK, method: str = "tools/call") -> RecordedCall:
    return RecordedCall(
        number=1, at=1, proxy=PROXY, method=method, name=name, principal=principal, outcome=outcome.value
    )


def context(evidence: Evidence, *rights: Right) -> PageContext:
    sources = ConsoleSources(Objects(), evidence)
    given = SomeRights(frozenset(rights))
    return PageContext(LOCAL_VIEWER, given, sources, PageQuery(MappingProxyType({})), 0.0)


async def test_calls_that_were_let_through_say_who_used_what() -> None:
    evidence = Evidence(
        (
            call("get_ticket", "sales/agent"),
            call("get_ticket", "sales/agent", CallOutcome.TOOL_ERROR),
            call("delete_ticket", "sales/agent", CallOutcome.DENIED),
            call("list_tickets", "sales/other"),
            call("", "sales/other", method="initialize"),
        )
    )
    used = await observed_use(context(evidence, Right.CALLS), PROXY)
    assert used is not None
    assert {(use.consumer, use.name) for use in used.recording.uses} == {
        ("sales/agent", "get_ticket"),
        ("sales/other", "list_tickets"),
    }
    assert (used.principals, used.is_for_everyone, used.note) == (("sales/agent", "sales/other"), False, "")


async def test_without_the_right_to_calls_no_principal_is_asked_for() -> None:
    names = (
        NameUse(method="tools/call", name="get_ticket", calls=2),
        NameUse(method="tools/call", name="a", calls=1, denied=1),
    )
    evidence = Evidence(names=names)
    used = await observed_use(context(evidence, Right.EVIDENCE), PROXY)
    assert used is not None
    assert ({use.name for use in used.recording.uses}, used.principals, used.is_for_everyone) == (
        {"get_ticket"},
        (),
        True,
    )
    assert evidence.asked == ["traffic"]


async def test_without_a_right_to_evidence_nothing_is_asked() -> None:
    evidence = Evidence()
    assert await observed_use(context(evidence, Right.PROXY), PROXY) is None
    assert evidence.asked == []


@pytest.mark.parametrize("principal", ["oidc:12345", "hash-of-a-caller"])
async def test_what_no_rule_can_name_is_left_out_and_counted(principal: str) -> None:
    used = await observed_use(context(Evidence((call("a", principal),)), Right.CALLS), PROXY)
    assert used is not None
    assert used.note.startswith("1 left out: ")
