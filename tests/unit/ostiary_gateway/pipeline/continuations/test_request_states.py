"""A state opens for one caller, at one proxy, for one request, within its time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.continuations.handle import Handle, Owner
from ostiary_gateway.pipeline.continuations.request_states import (
    LONGEST,
    RequestStates,
    StateKind,
    request_digest,
)
from ostiary_gateway.seal import Sealer

ALICE = Owner("uid", "consumer:alice")
DIGEST = request_digest("tools/call", {"name": "a"})


def states(now: float = 1000.0) -> RequestStates:
    """States at a moment."""
    return RequestStates(Sealer(lambda: {1: b"k" * 32}, clock=lambda: now), clock=lambda: now)


@given(st.text(max_size=300))
def test_a_servers_state_comes_back_as_it_was(own: str) -> None:
    sealed = states().seal_of_server(own, server="crm", digest=DIGEST, owner=ALICE, seconds=60)
    found = states().open(sealed, digest=DIGEST, owner=ALICE)
    assert (found.kind, found.server, found.of_server) == (StateKind.OF_SERVER, "crm", own)


def test_the_state_of_a_parked_call_names_its_handle() -> None:
    handle = Handle.new("10.0.0.7:8081")
    sealed = states().seal_parked(handle, server="crm", digest=DIGEST, owner=ALICE, seconds=60)
    found = states().open(sealed, digest=DIGEST, owner=ALICE)
    assert (found.kind, found.handle) == (StateKind.PARKED, handle)


@pytest.mark.parametrize(
    ("digest", "owner", "later"),
    [
        (request_digest("tools/call", {"name": "b"}), ALICE, 0),
        (request_digest("prompts/get", {"name": "a"}), ALICE, 0),
        (DIGEST, Owner("uid", "consumer:bob"), 0),
        (DIGEST, Owner("other", "consumer:alice"), 0),
        (DIGEST, ALICE, 61),
    ],
)
def test_it_opens_for_nothing_else(digest: bytes, owner: Owner, later: float) -> None:
    sealed = states().seal_of_server("own", server="crm", digest=DIGEST, owner=ALICE, seconds=60)
    with pytest.raises(Refusal) as refused:
        states(1000.0 + later).open(sealed, digest=digest, owner=owner)
    assert (refused.value.code, refused.value.reason) == (-32602, "InvalidRequestState")


@given(st.one_of(st.none(), st.integers(), st.text(max_size=200), st.lists(st.text(max_size=3), max_size=3)))
def test_what_we_have_not_sealed_is_refused(state: object) -> None:
    with pytest.raises(Refusal):
        states().open(state, digest=DIGEST, owner=ALICE)


def test_a_state_that_is_too_long_is_a_fault_of_its_server() -> None:
    with pytest.raises(UpstreamFault, match="requestState"):
        states().seal_of_server("x" * (LONGEST + 1), server="crm", digest=DIGEST, owner=ALICE, seconds=60)
    sealed = states().seal_of_server("x" * LONGEST, server="crm", digest=DIGEST, owner=ALICE, seconds=60)
    assert len(states().open(sealed, digest=DIGEST, owner=ALICE).of_server) == LONGEST


def test_a_digest_is_of_what_the_rounds_share_in_any_order() -> None:
    first = {"name": "a", "arguments": {"x": 1, "y": 2}, "_meta": {"progressToken": 1}}
    again = {"requestState": "s", "inputResponses": {}, "arguments": {"y": 2, "x": 1}, "name": "a", "_meta": {}}
    assert request_digest("tools/call", first) == request_digest("tools/call", again)
    assert request_digest("tools/call", {**first, "arguments": {"x": 1}}) != request_digest("tools/call", first)


def test_a_state_says_which_endpoint_sent_it() -> None:
    bound: dict[str, Any] = {"server": "crm", "digest": DIGEST, "owner": ALICE, "seconds": 60}

    at_endpoint = states().open(states().seal_of_server("own", endpoint=bytes(8), **bound), digest=DIGEST, owner=ALICE)
    without = states().open(states().seal_of_server("own", **bound), digest=DIGEST, owner=ALICE)

    assert (at_endpoint.server, at_endpoint.endpoint, at_endpoint.of_server) == ("crm", bytes(8), "own")
    assert (without.server, without.endpoint) == ("crm", b"")
