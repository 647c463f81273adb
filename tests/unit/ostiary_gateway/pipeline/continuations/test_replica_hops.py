"""An answer that arrives at one replica goes on at another, and no one else can bring one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hop_replicas import KEYS, LIMIT, HopReplica, hop_replica
from waiting import for_ever

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.continuations import hop_endpoint
from ostiary_gateway.pipeline.continuations.handle import KEY_BYTES, Handle, Owner
from ostiary_gateway.pipeline.continuations.hop_frames import TICKET, FrameReader, HopRequest, most_sealed
from ostiary_gateway.pipeline.continuations.replica_hops import ReplicaHops
from ostiary_gateway.seal import HOP, Sealer
from ostiary_gateway.upstream import faults

ALICE = Owner("uid", "consumer:alice")


class Call:
    """A call that was parked: it yields its texts, then ends as ``end`` says."""

    def __init__(self, *texts: bytes, end: Exception | None = None, waits: bool = False) -> None:
        self.texts = texts
        self.end = end
        self.waits = waits
        self.payload = b""
        self.is_cancelled = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def resume(self, payload: bytes) -> AsyncGenerator[bytes]:
        """Take the answer."""
        self.payload = payload
        try:
            for text in self.texts:
                yield text
            if self.waits:
                self.goes_on.set()
                await for_ever()
            if self.end is not None:
                raise self.end
        finally:
            self.is_cancelled.set()

    def abandon(self) -> None:
        """End it."""


def parked(replica: HopReplica, call: Call) -> Handle:
    """The handle of a call that is parked at a replica."""
    return replica.continuations.park(call, owner=ALICE, share="alice")


async def answered(replica: HopReplica, handle: Handle, payload: bytes = b"yes") -> list[bytes]:
    """What the caller gets that answers at a replica."""
    return [text async for text in replica.continuations.resume(handle, payload, owner=ALICE)]


async def test_an_answer_at_another_replica_goes_on_where_the_call_is_parked() -> None:
    async with hop_replica() as owner, hop_replica() as other:
        call = Call(b"progress", b"\x00\xff" * 40_000, b"result")
        handle = parked(owner, call)
        assert await answered(other, handle, b"x" * 2_000_000) == list(call.texts)
        assert len(call.payload) == 2_000_000
        with pytest.raises(Refusal, match="start the call again"):
            await answered(other, handle)


async def test_a_question_is_answered_at_another_replica() -> None:
    async with hop_replica() as owner, hop_replica() as other:
        with owner.continuations.wait(owner=ALICE) as question:
            assert await other.continuations.deliver(question.id, b"yes", owner=ALICE)
            assert await question.payload() == b"yes"


async def test_how_a_call_fails_there_is_how_it_fails_here() -> None:
    async with hop_replica() as owner, hop_replica() as other:
        fault = UpstreamFault(faults.RESET, "it broke off", retry_after_ms=7)
        with pytest.raises(UpstreamFault) as failed:
            await answered(other, parked(owner, Call(b"one", end=fault)))
        assert (failed.value.kind, failed.value.message, failed.value.retry_after_ms) == (
            faults.RESET,
            fault.message,
            7,
        )
        refusal = Refusal(200, "TooManyParkedCalls", "Too many", code=codes.LIMITED)
        with pytest.raises(Refusal) as refused:
            await answered(other, parked(owner, Call(end=refusal)))
        assert (refused.value.reason, refused.value.code) == ("TooManyParkedCalls", codes.LIMITED)


async def test_a_replica_that_is_gone_has_lost_the_call() -> None:
    async with hop_replica() as other:
        async with hop_replica() as owner:
            handle = parked(owner, Call())
        with pytest.raises(Refusal) as refused:
            await answered(other, handle)
        assert refused.value.code == codes.UPSTREAM_UNAVAILABLE


async def test_a_replica_that_ends_meanwhile_has_lost_the_call() -> None:
    async with hop_replica() as other:
        async with hop_replica() as owner:
            call = Call(b"progress", waits=True)
            going_on = other.continuations.resume(parked(owner, call), b"yes", owner=ALICE)
            assert await anext(going_on) == b"progress"
            await call.goes_on.wait()
        with pytest.raises(Refusal, match="start the call again"):
            await anext(going_on)


async def test_a_caller_that_goes_away_cancels_the_call_at_the_other_replica() -> None:
    async with hop_replica() as owner, hop_replica() as other:
        call = Call(b"progress", waits=True)
        async with aclosing(other.continuations.resume(parked(owner, call), b"yes", owner=ALICE)) as going_on:
            assert await anext(going_on) == b"progress"
        await call.is_cancelled.wait()


async def test_a_silent_call_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hop_endpoint, "KEEP_ALIVE_SECONDS", 0.01)
    async with hop_replica() as owner, hop_replica() as other:
        call = Call(waits=True)
        going_on = other.continuations.resume(parked(owner, call), b"yes", owner=ALICE)
        step = asyncio.ensure_future(anext(going_on, None))
        await call.goes_on.wait()
        assert not step.done()
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        await call.is_cancelled.wait()


async def test_without_the_key_nothing_is_found_and_nothing_is_used_up() -> None:
    async with hop_replica() as owner, hop_replica({1: b"f" * 32}) as foreign:
        call = Call(b"result")
        handle = parked(owner, call)
        with pytest.raises(Refusal):
            await answered(foreign, handle)
        sealer, other = Sealer(lambda: KEYS), Sealer(lambda: {2: b"k" * 32})
        request = HopRequest.new(handle.key, ALICE, b"yes")
        ticket = request.ticket(sealer)
        for ticket_sent, body in (
            (ticket, b""),
            (ticket, b"x"),
            (ticket, b"\xff" * 9),
            (ticket, request.sealed(other)),
            (request.ticket(other), request.sealed(sealer)),
            ("", request.sealed(sealer)),
        ):
            headers = {TICKET: ticket_sent}
            async with (
                aiohttp.ClientSession() as client,
                client.post(owner.url, data=body, headers=headers) as response,
            ):
                assert response.status == 404
        assert await answered(owner, handle) == [b"result"]


async def test_an_old_request_of_a_replica_is_not_accepted() -> None:
    async with hop_replica() as owner:
        handle = parked(owner, Call())
        now, before = Sealer(lambda: KEYS), Sealer(lambda: KEYS, clock=lambda: 1_000_000)
        request = HopRequest.new(handle.key, ALICE, b"yes")
        for by_ticket, by_body in ((now, before), (before, now)):
            body, headers = request.sealed(by_body), {TICKET: request.ticket(by_ticket)}
            async with (
                aiohttp.ClientSession() as client,
                client.post(owner.url, data=body, headers=headers) as response,
            ):
                assert response.status == 404


async def test_slow_bodies_of_other_clients_take_no_turn_of_a_replica() -> None:
    async with hop_replica() as owner, hop_replica() as other:
        handle = parked(owner, Call(b"result"))
        host, _, port = owner.continuations.address.partition(":")
        clients = [await asyncio.open_connection(host, int(port)) for _ in range(32)]
        for _, writer in clients:
            writer.write(b"POST /continuations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
        for reader, _ in clients:
            assert (await reader.readline()).split()[1] == b"404"
        assert await answered(other, handle) == [b"result"]
        for _, writer in clients:
            writer.close()


async def test_whatever_size_the_bounds_of_a_gateway_allow_can_be_sealed_for_another_replica() -> None:
    payload = b"x" * (33 << 20)  # more than `bounds.requestBytes` is by default, and less than it may be
    sealer = Sealer(lambda: KEYS)
    body = HopRequest.new(b"k" * KEY_BYTES, ALICE, payload).sealed(sealer)
    assert len(body) <= most_sealed(len(payload))
    opened = HopRequest.opened(sealer, body)
    assert opened is not None
    assert opened.payload == payload
    largest = 1 << 30
    assert HOP.longest >= most_sealed(largest)


async def test_a_request_that_is_too_large_or_of_unknown_length_is_not_read() -> None:
    async def endless() -> AsyncGenerator[bytes]:
        yield b"x"
        await for_ever()

    async with hop_replica() as owner, aiohttp.ClientSession() as client:
        async with client.post(owner.url, data=endless()) as response:
            assert response.status == 404
        async with client.post(owner.url, data=endless(), headers={"Content-Length": str(2 * LIMIT)}) as response:
            assert response.status == 404


async def test_a_replayed_frame_of_another_response_is_not_taken() -> None:
    sealer = Sealer(lambda: KEYS)
    forged = sealer.seal(HOP, b"m{}", proxy_uid="", principal="0")
    with pytest.raises(ValueError, match="not sealed for this request"):
        FrameReader(sealer, "nonce").read(forged.encode())


async def test_a_process_of_the_same_pod_is_reached_at_its_socket(tmp_path: Path) -> None:
    async with hop_replica() as one, hop_replica() as other:
        socket = tmp_path / "worker-0.sock"
        site = web.UnixSite(one.runner, str(socket))
        await site.start()
        one.continuations.address = "/workers/0"
        other.continuations.address = "/workers/1"
        hops = other.continuations.hops
        assert isinstance(hops, ReplicaHops)
        hops.siblings = {"/workers/0": socket}
        assert await answered(other, parked(one, Call(b"first", b"second"))) == [b"first", b"second"]
        await site.stop()
        with pytest.raises(Refusal, match="is gone"):
            await answered(other, Handle.new("/workers/2"))
