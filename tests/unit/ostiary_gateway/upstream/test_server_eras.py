"""Which eras a server speaks: only its answers to ``server/discover`` tell."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.server_eras import Eras, ProbeAnswer, ServerEras, refuses_era, verdict

BOTH = ProbeAnswer(200, {"result": {"supportedVersions": ["2026-07-28", "2025-11-25"]}})
ONLY_MODERN_LISTED = ProbeAnswer(200, {"result": {"supportedVersions": ["2026-07-28"]}})
NO_METHOD = ProbeAnswer(200, {"error": {"code": -32601, "message": "no"}})
LEGACY_ONLY = Eras(legacy=True, modern=False)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Answers probes, and counts them."""

    def __init__(self, *answers: ProbeAnswer | UpstreamFault) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def probe(self) -> ProbeAnswer:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, UpstreamFault):
            raise answer
        return answer


def error(code: int, **data: Any) -> Mapping[str, Any]:
    return {"error": {"code": code, "message": "no", "data": data}}


@pytest.mark.parametrize(
    ("answer", "eras"),
    [
        (BOTH, Eras(legacy=True, modern=True)),
        (ONLY_MODERN_LISTED, Eras(legacy=None, modern=True)),
        (ProbeAnswer(200, {"result": {"supportedVersions": ["2025-11-25"]}}), LEGACY_ONLY),
        (ProbeAnswer(200, {"result": {"supportedVersions": ["2199-01-01"]}}), Eras(legacy=None, modern=False)),
        (NO_METHOD, LEGACY_ONLY),
        (ProbeAnswer(404, {}), LEGACY_ONLY),
        (ProbeAnswer(405, {}), LEGACY_ONLY),
        (ProbeAnswer(400, error(-32600)), LEGACY_ONLY),
        (ProbeAnswer(200, error(-32602)), LEGACY_ONLY),
        (ProbeAnswer(400, error(-32000)), LEGACY_ONLY),
        (ProbeAnswer(400, error(-32020)), Eras(modern=True)),
        (ProbeAnswer(400, error(-32022, supported=["2025-06-18"])), LEGACY_ONLY),
    ],
)
def test_an_answer_to_discover_is_a_verdict(answer: ProbeAnswer, eras: Eras) -> None:
    assert verdict(answer) == eras


@pytest.mark.parametrize("status", [401, 403, 407, 408, 429, 500, 502, 503, 504, 301])
@pytest.mark.parametrize("message", [{}, error(-32601), {"result": {"supportedVersions": ["2026-07-28"]}}])
def test_refusals_of_other_reasons_prove_nothing(status: int, message: Mapping[str, Any]) -> None:
    assert verdict(ProbeAnswer(status, message)) is None


@given(st.integers(100, 599), st.dictionaries(st.sampled_from(["result", "error"]), json_values))
def test_no_answer_breaks_the_verdict(status: int, message: Mapping[str, Any]) -> None:
    found = verdict(ProbeAnswer(status, message))

    assert found is None or found.modern is not None
    refuses_era("tools/call", status, message)


async def test_a_verdict_holds_for_ten_minutes() -> None:
    clock, server = Clock(), Server(BOTH, NO_METHOD)
    eras = ServerEras(clock=clock)

    first = await eras.find(server.probe)
    clock.now += 599
    assert await eras.find(server.probe) == first == Eras(legacy=True, modern=True)
    assert server.asked == 1
    clock.now += 2
    assert await eras.find(server.probe) == LEGACY_ONLY
    assert eras.only is LEGACY


async def test_requests_at_the_same_time_share_one_probe() -> None:
    server, eras = Server(NO_METHOD), ServerEras()

    found = await asyncio.gather(*(eras.find(server.probe) for _ in range(50)))

    assert set(found) == {LEGACY_ONLY}
    assert server.asked == 1


async def test_the_caller_who_asks_may_leave() -> None:
    server, eras = Server(NO_METHOD), ServerEras()
    leaves = asyncio.ensure_future(eras.find(server.probe))
    stays = asyncio.ensure_future(eras.find(server.probe))
    await asyncio.sleep(0)

    leaves.cancel()

    assert await stays == LEGACY_ONLY


@pytest.mark.parametrize("answer", [ProbeAnswer(503, {}), ProbeAnswer(401, {}), UpstreamFault("Timeout", "silent")])
async def test_silence_keeps_the_last_verdict(answer: ProbeAnswer | UpstreamFault) -> None:
    clock, server = Clock(), Server(NO_METHOD, answer)
    eras = ServerEras(clock=clock)
    await eras.find(server.probe)
    clock.now += 601

    assert await eras.find(server.probe) == LEGACY_ONLY
    assert await eras.find(server.probe) == LEGACY_ONLY
    assert server.asked == 2, "a server that says nothing is not asked by every request"


async def test_a_list_of_modern_revisions_says_nothing_of_legacy_ones() -> None:
    eras = ServerEras()
    await eras.find(Server(ONLY_MODERN_LISTED).probe)
    assert (eras.only, eras.current.speaks(LEGACY)) == (None, True)

    eras.refused_handshake()

    assert (eras.only, eras.current.speaks(LEGACY)) == (MODERN, False)
    eras.accepted_handshake()
    assert eras.only is None


async def test_a_refused_handshake_alone_proves_nothing() -> None:
    eras = ServerEras()

    eras.refused_handshake()

    assert eras.current == Eras()


async def test_a_server_that_changes_is_asked_again_after_a_doubt() -> None:
    clock, server = Clock(), Server(NO_METHOD, BOTH)
    eras = ServerEras(clock=clock)
    await eras.find(server.probe)

    eras.doubt()
    assert await eras.find(server.probe) == LEGACY_ONLY, "a server of flipping eras costs one probe in five seconds"
    clock.now += 6

    assert await eras.find(server.probe) == Eras(legacy=True, modern=True)


@pytest.mark.parametrize(("revision", "only"), [("2026-07-28", MODERN), ("2025-11-25", LEGACY), ("2025-03-26", LEGACY)])
async def test_a_configured_revision_is_never_asked_for(revision: str, only: object) -> None:
    server, eras = Server(BOTH), ServerEras(revision)

    await eras.find(server.probe)
    eras.doubt()
    eras.accepted_handshake()
    await eras.find(server.probe)

    assert (eras.only, server.asked) == (only, 0)


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, None), (405, None), (400, error(-32022)), (200, error(-32601)), (400, error(-32000)), (400, error(-32020))],
)
def test_a_refusal_may_be_of_the_other_era(status: int, message: Mapping[str, Any] | None) -> None:
    assert refuses_era("tools/list", status, message)


def test_whatever_error_opening_a_conversation_ends_in_may_be_of_the_other_era() -> None:
    assert refuses_era("server/discover", 400, error(-32001))
    assert refuses_era("initialize", 404, error(7))
    assert not refuses_era("initialize", 503, error(-32001))


def test_a_session_that_a_server_misses_may_be_of_the_other_era_and_one_that_is_gone_is_not() -> None:
    # Behind a load balancer a replica may see any request of a modern client first.
    assert refuses_era("tools/list", 400, error(-32001))
    assert not refuses_era("tools/list", 404, error(-32001))
    assert not refuses_era("tools/list", 400, error(7))


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, None), (503, None), (429, error(-32000)), (200, error(-32602)), (200, {"result": {}}), (200, None)],
)
def test_a_refusal_of_another_reason_is_none_of_the_era(status: int, message: Mapping[str, Any] | None) -> None:
    assert not refuses_era("tools/list", status, message)
