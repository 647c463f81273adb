"""Replicas find through a real Redis what is open of a session in another, and tell it at its port."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hop_replicas import HopReplica, hop_replica
from limit_replicas import credentials, store_config
from mcp_clients import eventually
from redis_servers import RedisServer, redis_server

from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey, SessionNotes
from ostiary_gateway.pipeline.merged_sessions.session_places import SessionPlaces
from ostiary_gateway.pipeline.merged_sessions.shared_notes import SharedNotes
from ostiary_gateway.policy_limits.store_link import StoreLink
from ostiary_gateway.seal import Sealer

KEY = bytes(range(32))
ONE = SessionKey("tools/crm", "uid-1", "agent", "0a" * 12)
OTHER = ONE._replace(principal="other")


@dataclass
class Replica:
    """One replica, and what it was told."""

    hop: HopReplica
    store: SharedNotes
    places: SessionPlaces
    told: list[bytes] = field(default_factory=list)

    async def tell(self, content: bytes) -> None:
        """Note what another replica tells."""
        self.told.append(content)


@asynccontextmanager
async def replica(server: RedisServer) -> AsyncIterator[Replica]:
    link = StoreLink(credentials({}), lambda _same: None)
    link.configure(store_config(server.address))
    notes = SessionNotes()
    notes.shared = store = SharedNotes(link, Sealer(lambda: {0: KEY}), max_age=lambda: 86_400_000)
    async with hop_replica() as hop:
        places = SessionPlaces(notes, hop.continuations)
        try:
            await link.connected(10.0)
            yield Replica(hop, store, places)
        finally:
            await places.close()
            await link.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


async def test_a_stream_is_told_by_every_replica_as_often_as_they_like_until_it_ends(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two:
        async with one.places.stream(ONE, one.tell):
            await two.places.tell_streams(ONE, b"first")
            await two.places.tell_streams(ONE, b"second")
            await two.places.tell_streams(OTHER, b"of another caller")
            assert one.told == [b"first", b"second"]
        await two.places.tell_streams(ONE, b"too late")
        assert one.told == [b"first", b"second"]


async def test_a_call_is_found_by_its_id_also_if_it_is_looked_for_before_it_was_noted(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two:
        with one.places.call(ONE, 7, one.tell):
            two.places.tell_call(ONE, "7")
            two.places.tell_call(ONE, 8)
            two.places.tell_call(OTHER, 7)
            await eventually(lambda: one.told != [])
        assert one.told == [b""]


async def test_a_storm_of_cancellations_asks_the_store_for_a_few_of_them(server: RedisServer) -> None:
    async with replica(server) as one, replica(server) as two:
        with server.client() as client:
            client.config_resetstat()
            for number in range(1000):
                two.places.tell_call(ONE, number)
            with one.places.call(OTHER, 7, one.tell):
                two.places.tell_call(OTHER, 7)
                await eventually(lambda: one.told != [])
            assert client.info("commandstats")["cmdstat_hgetall"]["calls"] < 100


async def test_what_has_ended_is_noted_no_longer(server: RedisServer) -> None:
    async with replica(server) as one:
        with one.places.call(ONE, 7, one.tell):
            while not await one.store.places(ONE):  # noqa: ASYNC110  it is known by asking only
                await asyncio.sleep(0)
        while await one.store.places(ONE):  # noqa: ASYNC110  it is known by asking only
            await asyncio.sleep(0)


async def test_what_a_replica_has_noted_that_is_gone_is_forgotten(server: RedisServer) -> None:
    async with replica(server) as two:
        async with replica(server) as one, one.places.stream(ONE, one.tell):
            [(name, handle)] = (await two.store.places(ONE)).items()
        await two.store.note_place(ONE, name, handle)

        await two.places.tell_streams(ONE, b"anyone?")

        assert await two.store.places(ONE) == {}


async def test_a_store_can_neither_read_nor_exchange_what_is_noted(server: RedisServer) -> None:
    async with replica(server) as one, one.places.stream(ONE, one.tell):
        with server.client() as client:
            [(key, fields)] = [(each, client.hgetall(each)) for each in client.keys("*:p:*")]
            assert one.hop.continuations.address.encode() not in b"".join(fields.values())
            client.hset(key, "stream.moved", next(iter(fields.values())))
        assert "stream.moved" not in await one.store.places(ONE)
