"""What waits in a replica is used once, by its owner, and does not grow without end."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.continuations.continuations import MOST_PARKED, MOST_PER_PRINCIPAL, Continuations
from ostiary_gateway.pipeline.continuations.handle import Handle, Owner, pack, unpack
from ostiary_gateway.seal import Sealer

ALICE = Owner("uid", "consumer:alice")
BOB = Owner("uid", "consumer:bob")


class Call:
    """A call that was parked."""

    def __init__(self) -> None:
        self.abandoned = asyncio.Event()

    async def resume(self, payload: bytes) -> AsyncGenerator[bytes]:
        """Repeat the answer."""
        yield b"answered " + payload

    def abandon(self) -> None:
        """Note the end."""
        self.abandoned.set()


def replica() -> Continuations:
    """A replica that reaches no other."""
    return Continuations(Sealer(lambda: {1: b"k" * 32}))


async def resumed(continuations: Continuations, handle: Handle, owner: Owner = ALICE) -> list[bytes]:
    """What the caller gets for its answer."""
    return [text async for text in continuations.resume(handle, b"yes", owner=owner)]


async def test_an_answer_goes_on_with_what_waits_once() -> None:
    continuations = replica()
    handle = continuations.park(Call(), owner=ALICE, share="alice")
    assert await resumed(continuations, handle) == [b"answered yes"]
    with pytest.raises(Refusal) as refused:
        await resumed(continuations, handle)
    assert (refused.value.reason, refused.value.code) == ("ContinuationLost", codes.UPSTREAM_UNAVAILABLE)
    assert continuations.lost == 1


async def test_only_its_owner_goes_on_with_it_and_an_attempt_of_another_does_not_end_it() -> None:
    continuations = replica()
    handle = continuations.park(Call(), owner=ALICE, share="alice")
    for other in (BOB, Owner("another proxy", ALICE.principal)):
        with pytest.raises(Refusal):
            await resumed(continuations, handle, other)
    assert await resumed(continuations, handle) == [b"answered yes"]


async def test_a_principal_has_so_many_parked_calls_and_others_are_not_affected() -> None:
    continuations = replica()
    handles = [continuations.park(Call(), owner=ALICE, share="alice") for _ in range(MOST_PER_PRINCIPAL)]
    with pytest.raises(Refusal) as refused:
        continuations.park(Call(), owner=ALICE, share="alice")
    assert refused.value.code == codes.LIMITED
    continuations.park(Call(), owner=BOB, share="bob")
    await resumed(continuations, handles[0])
    continuations.park(Call(), owner=ALICE, share="alice")
    continuations.close()


async def test_a_replica_has_so_many_parked_calls() -> None:
    continuations = replica()
    calls = [Call() for _ in range(MOST_PARKED)]
    for number, call in enumerate(calls):
        continuations.park(call, owner=ALICE, share=str(number))
    with pytest.raises(Refusal):
        continuations.check_room("another")
    assert continuations.parked == MOST_PARKED
    continuations.close()
    assert continuations.parked == 0
    assert all(call.abandoned.is_set() for call in calls)


async def test_what_has_expired_was_abandoned_and_is_lost() -> None:
    continuations = replica()
    call = Call()
    handle = continuations.park(call, owner=ALICE, share="alice", seconds=0)
    await call.abandoned.wait()
    assert continuations.parked == 0
    with pytest.raises(Refusal):
        await resumed(continuations, handle)


async def test_an_answer_reaches_the_question_whose_id_it_has() -> None:
    continuations = replica()
    with continuations.wait(owner=ALICE) as question, continuations.wait(owner=ALICE) as other:
        assert await continuations.deliver(question.id, b"yes", owner=ALICE)
        assert await question.payload() == b"yes"
        assert await continuations.deliver(other.id, b"no", owner=ALICE)
        assert await other.payload() == b"no"
        with pytest.raises(Refusal):
            await continuations.deliver(question.id, b"again", owner=ALICE)


async def test_an_id_that_is_no_question_of_ours_to_this_owner_is_another_ones() -> None:
    continuations = replica()
    with continuations.wait(owner=ALICE) as question:
        for identifier in ("", "1", "eu.7", question.id[:-1], question.id + "A", "Q1." + "A" * 4000):
            assert not await continuations.deliver(identifier, b"yes", owner=ALICE)
        assert not await continuations.deliver(question.id, b"yes", owner=BOB)


async def test_a_question_without_an_answer_in_time_says_so() -> None:
    with replica().wait(owner=ALICE, seconds=0) as question, pytest.raises(TimeoutError):
        await question.payload()


async def test_a_question_that_is_no_longer_asked_is_lost() -> None:
    continuations = replica()
    with continuations.wait(owner=ALICE) as question:
        pass
    with pytest.raises(Refusal):
        await continuations.deliver(question.id, b"yes", owner=ALICE)


@pytest.mark.parametrize("parts", [(), (b"",), (b"a", b"", b"bc" * 300)])
def test_parts_are_unpacked_as_they_were_packed(parts: tuple[bytes, ...]) -> None:
    assert unpack(pack(*parts)) == list(parts)


@pytest.mark.parametrize("text", [b"\0", b"\0\0\0\1", b"\0\0\0\0\0\0\0\2a"])
def test_a_text_that_was_cut_off_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        unpack(text)


def test_a_handle_is_unpacked_as_it_was_packed() -> None:
    handle = Handle.new("[fd00::1]:8081")
    assert Handle.unpacked(handle.packed()) == handle
