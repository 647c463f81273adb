"""Replicas share session notes in a real Redis, which can neither read them nor exchange them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from limit_replicas import credentials, store_config
from redis_servers import RedisServer, redis_cluster, redis_server

from ostiary_core.contract.limit_store import LimitStoreConfig, StoreCredentialsConfig
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey, SessionNote, SessionNotes
from ostiary_gateway.pipeline.merged_sessions.shared_notes import SharedNotes
from ostiary_gateway.policy_limits.store_link import StoreLink
from ostiary_gateway.seal import Sealer
from ostiary_gateway.session_ids import UpstreamSession

KEY = bytes(range(32))
CRM = b"crm-mark"
MAIL = b"mailmark"
SESSION = UpstreamSession("canary-of-a-session", "2025-11-25", endpoint=bytes(range(8)))
ONE = SessionKey("tools/crm", "uid-1", "agent", "0a" * 12)
DAY = 86_400_000
#: As docs/guides/limits.md says: notes need nothing else.
RIGHTS = (
    *("~{ostiary:*", "resetchannels", "-@all", "+eval", "+evalsha", "+ping", "+select", "+time", "+hmget", "+hgetall"),
    *("+hset", "+hdel", "+pexpire"),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as found:
        yield found


@asynccontextmanager
async def replica(config: LimitStoreConfig, *, max_age: int = DAY, key: bytes = KEY) -> AsyncIterator[SessionNotes]:
    link = StoreLink(credentials({"user": "ostiary", "password": "password"}), lambda _same: None)
    link.configure(config)
    notes = SessionNotes()
    notes.shared = SharedNotes(link, Sealer(lambda: {0: key}), max_age=lambda: max_age)
    try:
        await link.connected(10.0)
        yield notes
    finally:
        await link.close()


async def test_what_one_replica_noted_every_replica_knows_until_the_session_ends(server: RedisServer) -> None:
    config = store_config(server.address)
    async with replica(config) as first, replica(config) as second:
        await first.note_server(ONE, CRM, SESSION)
        await first.note_log_level(ONE, "debug")
        await first.note_subscription(ONE, CRM, "file:///a", subscribed=True)
        await first.note_subscription(ONE, MAIL, "mail:ü", subscribed=True)
        await first.note_subscription(ONE, MAIL, "mail:gone", subscribed=True)
        await first.note_subscription(ONE, MAIL, "mail:gone", subscribed=False)

        assert await second.looked_up(ONE) == SessionNote(
            {CRM: SESSION}, "debug", {CRM: {"file:///a"}, MAIL: {"mail:ü"}}
        )

        await second.note_end(ONE)
        async with replica(config) as third:
            assert await third.looked_up(ONE) == SessionNote(ended=True)


OTHERS = UpstreamSession("of-the-faster-one", "2025-11-25", endpoint=bytes(8))


def never(_session: UpstreamSession) -> bool:
    return False


async def test_of_two_replicas_that_open_a_session_at_the_same_moment_the_first_one_to_note_it_wins(
    server: RedisServer,
) -> None:
    config = store_config(server.address)
    async with replica(config) as first, replica(config) as second:
        both = await asyncio.gather(
            first.replace_server(ONE, CRM, SESSION, is_lost=never),
            second.replace_server(ONE, CRM, OTHERS, is_lost=never),
        )

        assert list(both) in ([SESSION, SESSION], [OTHERS, OTHERS])
        assert (await second.looked_up(ONE)).servers == {CRM: both[0]}


async def test_a_session_that_is_lost_is_replaced_once(server: RedisServer) -> None:
    config = store_config(server.address)
    async with replica(config) as first, replica(config) as second:
        await first.note_server(ONE, CRM, SESSION)

        def is_lost(session: UpstreamSession) -> bool:
            return session == SESSION

        assert await second.replace_server(ONE, CRM, OTHERS, is_lost=is_lost) == OTHERS
        assert await first.replace_server(ONE, CRM, UpstreamSession("late", "2025-11-25"), is_lost=is_lost) == OTHERS
        with server.client() as client:
            [name] = client.keys("*:s:*")
            assert 0 < client.pttl(name) <= DAY


async def test_a_session_that_its_client_has_ended_gets_no_other_one(server: RedisServer) -> None:
    config = store_config(server.address)
    async with replica(config) as first, replica(config) as second:
        await first.note_end(ONE)

        assert await second.replace_server(ONE, CRM, SESSION, is_lost=never) is None
        assert (await first.looked_up(ONE)).servers == {}


async def test_a_replica_whose_store_fails_goes_on_with_the_session_that_it_opened(server: RedisServer) -> None:
    async with replica(store_config(server.address)) as notes:
        server.kill()

        assert await notes.replace_server(ONE, CRM, SESSION, is_lost=never) == SESSION
        assert (await notes.looked_up(ONE)).servers == {CRM: SESSION}


async def test_notes_expire_with_the_session_id_that_they_belong_to(server: RedisServer) -> None:
    async with replica(store_config(server.address), max_age=DAY) as notes:
        await notes.note_server(ONE, CRM, SESSION)

    with server.client() as client:
        [name] = client.keys("*:s:*")
        assert 0 < client.pttl(name) <= DAY


async def test_who_reads_the_store_finds_no_session_of_a_server(server: RedisServer) -> None:
    async with replica(store_config(server.address)) as notes:
        await notes.note_server(ONE, CRM, SESSION)
        await notes.note_subscription(ONE, CRM, "file:///canary", subscribed=True)

    with server.client() as client:
        [name] = client.keys("*:s:*")
        held = repr(client.hgetall(name)) + repr(name)
    assert "canary" not in held
    assert "agent" not in held


async def test_who_writes_the_store_puts_no_session_in_the_place_of_another(server: RedisServer) -> None:
    config = store_config(server.address)
    other = SessionKey("tools/crm", "uid-1", "agent", "0b" * 12)
    theirs = SessionKey("tools/crm", "uid-1", "someone else", "0c" * 12)
    async with replica(config) as notes, replica(config) as fresh:
        await notes.note_server(ONE, CRM, SESSION)
        await notes.note_server(other, MAIL, UpstreamSession("kept", "2025-11-25"))
        with server.client() as client:
            [mine] = client.keys(f"*:{ONE.key}")
            [others] = client.keys(f"*:{other.key}")
            [(field, value)] = client.hgetall(mine).items()
            client.hset(others, field, value)
            client.hset(others, "l", "debug")
            client.hset(others, b"\xff", b"\xff")
            client.hset(others, b"s" + MAIL.hex().encode() + b"0", value)
            client.hset(mine.replace(ONE.key.encode(), theirs.key.encode()), field, value)

        assert await fresh.looked_up(other) == SessionNote({MAIL: UpstreamSession("kept", "2025-11-25")})
        assert await fresh.looked_up(theirs) == SessionNote()


async def test_a_hash_of_more_fields_than_a_gateway_writes_is_not_read(server: RedisServer) -> None:
    async with replica(store_config(server.address)) as notes, replica(store_config(server.address)) as fresh:
        await notes.note_server(ONE, CRM, SESSION)
        with server.client() as client:
            [name] = client.keys("*:s:*")
            client.hset(name, mapping={str(number): "x" for number in range(1000)})

        assert await fresh.looked_up(ONE) == SessionNote()


async def test_a_store_that_fails_leaves_each_replica_with_what_it_noted_itself(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with replica(store_config(server.address)) as notes:
        server.kill()
        await notes.note_server(ONE, CRM, SESSION)

        assert (await notes.looked_up(ONE)).servers == {CRM: SESSION}
        assert "each replica keeps its own" in caplog.text
        assert "canary" not in caplog.text


def of_user(server: RedisServer, *rights: str) -> LimitStoreConfig:
    """The store as a user with these rights sees it."""
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "ostiary", "on", ">password", *rights)
    return store_config(server.address, credentials=StoreCredentialsConfig(username="user", password="password"))


async def test_a_user_with_the_rights_of_the_guide_can_keep_notes(server: RedisServer) -> None:
    config = of_user(server, *RIGHTS)
    async with replica(config) as first, replica(config) as second:
        await first.note_server(ONE, CRM, SESSION)
        await first.note_subscription(ONE, CRM, "file:///a", subscribed=True)
        await first.note_subscription(ONE, CRM, "file:///a", subscribed=False)

        assert (await second.looked_up(ONE)).servers == {CRM: SESSION}

        assert await second.replace_server(ONE, CRM, OTHERS, is_lost=lambda _same: True) == OTHERS
        assert (await first.looked_up(ONE)).servers == {CRM: OTHERS}

        await second.note_end(ONE)
        assert (await second.looked_up(ONE)).ended


async def test_a_store_that_refuses_notes_goes_on_counting(server: RedisServer) -> None:
    config = of_user(server, *RIGHTS, "resetkeys", "~{ostiary:}:*")
    async with replica(config) as notes:
        await notes.note_server(ONE, CRM, SESSION)

        assert (await notes.looked_up(ONE)).servers == {CRM: SESSION}
        assert isinstance(notes.shared, SharedNotes)
        assert isinstance(notes.shared.link, StoreLink)
        assert notes.shared.link.is_up


async def test_notes_of_one_session_are_in_one_slot_of_a_cluster(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster:
        config = store_config(*(each.address for each in cluster), mode="Cluster")
        async with replica(config) as first, replica(config) as second:
            await first.note_server(ONE, CRM, SESSION)
            await first.note_log_level(ONE, "debug")

            assert await second.looked_up(ONE) == SessionNote({CRM: SESSION}, "debug")
            assert await second.replace_server(ONE, CRM, OTHERS, is_lost=lambda _same: True) == OTHERS
            assert (await first.looked_up(ONE)).servers == {CRM: OTHERS}
