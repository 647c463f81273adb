"""A session id is opened once, and judged at each use: its key, its age, its proxy and its principal."""

import json
import os
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.pipeline.merged_sessions.session_vector import (
    ClientDeclaration,
    SessionVector,
    new_key,
    seal_vector,
)
from ostiary_gateway.pipeline.opened_sessions import OpenedSessions
from ostiary_gateway.seal import Sealer
from ostiary_gateway.session_ids import UpstreamSession, seal_session

NOW = 1_800_000_000.0
KEY = bytes(range(32))
HOUR = 3600.0


class Gateway:
    """The sessions of one gateway, whose keys and clock a test changes."""

    def __init__(self, *, most_bytes: int = 1 << 20) -> None:
        self.keys = {0: KEY}
        self.now = NOW
        self.sealer = Sealer(lambda: self.keys, clock=lambda: self.now)
        self.sessions = OpenedSessions(self.sealer, most_bytes=most_bytes)

    def sealed(self, upstream_id: str = "abc-123") -> str:
        return seal_session(self.sealer, session(upstream_id), proxy_uid="uid", principal="me")

    def opened(
        self, sealed: str, *, uid: str = "uid", principal: str = "me", max_age: float = HOUR
    ) -> UpstreamSession | None:
        return self.sessions.open(sealed, proxy_uid=uid, principal=principal, max_age=max_age)


def session(upstream_id: str = "abc-123") -> UpstreamSession:
    return UpstreamSession(upstream_id, "2025-11-25")


def vector() -> SessionVector:
    return SessionVector(new_key(), "2025-11-25", ClientDeclaration({}, {"name": "an agent"}), {b"12345678": session()})


def test_the_calls_of_a_session_get_one_object() -> None:
    gateway = Gateway()
    sealed = gateway.sealed()

    assert gateway.opened(sealed) == session()
    assert gateway.opened(sealed[:5] + sealed[5:]) is gateway.opened(sealed)
    assert len(gateway.sessions) == 1


def test_the_id_of_several_servers_is_kept_like_that_of_one() -> None:
    gateway, whole = Gateway(), vector()
    sealed = seal_vector(gateway.sealer, whole, proxy_uid="uid", principal="me")

    assert gateway.opened(sealed) == whole
    assert gateway.opened(sealed) is gateway.opened(sealed)


@pytest.mark.parametrize(("uid", "principal"), [("other", "me"), ("uid", "other"), ("ui", "dme")])
def test_a_kept_session_is_nothing_at_another_proxy_or_for_another_principal(uid: str, principal: str) -> None:
    gateway = Gateway()
    sealed = gateway.sealed()
    assert gateway.opened(sealed) is not None

    assert gateway.opened(sealed, uid=uid, principal=principal) is None
    assert gateway.opened(sealed) is not None


def test_a_kept_session_ends_with_its_age() -> None:
    gateway = Gateway()
    sealed = gateway.sealed()
    assert gateway.opened(sealed) is not None

    gateway.now += HOUR + 2

    assert gateway.opened(sealed) is None
    assert len(gateway.sessions) == 0


def test_a_kept_session_ends_when_the_settings_shorten_the_age_and_returns_with_it() -> None:
    gateway = Gateway()
    sealed = gateway.sealed()
    gateway.now += 100

    assert gateway.opened(sealed) is not None
    assert gateway.opened(sealed, max_age=60.0) is None
    assert gateway.opened(sealed) is not None


def test_a_kept_session_outlives_a_rotation_and_ends_with_its_key() -> None:
    gateway = Gateway()
    sealed = gateway.sealed()
    assert gateway.opened(sealed) is not None

    gateway.keys = {0: KEY, 10: os.urandom(32)}
    assert gateway.opened(sealed) is not None
    gateway.keys = {10: gateway.keys[10]}
    assert gateway.opened(sealed) is None


def test_a_kept_session_ends_when_another_key_has_its_activation_time() -> None:
    gateway = Gateway()
    sealed = gateway.sealed()
    assert gateway.opened(sealed) is not None

    gateway.keys = {0: os.urandom(32)}

    assert gateway.opened(sealed) is None


@given(st.text(max_size=80))
def test_what_does_not_open_is_not_kept(text: str) -> None:
    gateway = Gateway()

    assert gateway.opened(text) is None
    assert gateway.opened(f"1.{text}") is None
    assert (len(gateway.sessions), gateway.sessions.held) == (0, 0)


def test_an_expired_id_is_not_kept() -> None:
    gateway = Gateway()
    sealed = gateway.sealed()
    gateway.now += HOUR + 2

    assert gateway.opened(sealed) is None
    assert len(gateway.sessions) == 0


def test_what_is_kept_is_bounded_in_bytes_and_the_rest_is_opened_again() -> None:
    gateway = Gateway(most_bytes=32 * 1024)
    ids = [gateway.sealed(f"session-{number}") for number in range(200)]

    for _ in range(2):
        for number, sealed in enumerate(ids):
            assert gateway.opened(sealed) == session(f"session-{number}")
            assert gateway.sessions.held <= 32 * 1024
    assert 10 < len(gateway.sessions) < 100


def test_a_session_with_a_huge_id_takes_the_room_of_several() -> None:
    gateway = Gateway(most_bytes=16 * 1024)
    for number in range(12):
        assert gateway.opened(gateway.sealed(f"session-{number}")) is not None
    before = len(gateway.sessions)

    assert gateway.opened(gateway.sealed("x" * 4096)) is not None

    assert len(gateway.sessions) < before
    assert gateway.sessions.held <= 16 * 1024


def test_a_caller_that_opens_many_sessions_does_not_remove_those_that_others_use() -> None:
    gateway = Gateway(most_bytes=32 * 1024)
    used = gateway.sealed("used")
    kept = gateway.opened(used)

    for number in range(1000):
        gateway.opened(gateway.sealed(f"flood-{number}"))
        assert gateway.opened(used) is kept


def test_a_session_that_is_larger_than_all_that_may_be_kept_still_opens() -> None:
    gateway = Gateway(most_bytes=100)

    assert gateway.opened(gateway.sealed()) == session()
    assert gateway.opened(gateway.sealed("other")) == session("other")
    assert len(gateway.sessions) == 0


@pytest.mark.parametrize(
    "capabilities",
    [
        {},
        {"x": [[] for _ in range(330)]},
        {f"x{number}": json.loads("[" * 75 + "]" * 75) for number in range(6)},
        {f"{number:x}": {} for number in range(120)},
        {"x": [1.5] * 200},
        {"x": [{"a": 1} for _ in range(120)]},
    ],
    ids=["none", "lists", "deep lists", "objects", "numbers", "objects of one member"],
)
@pytest.mark.parametrize("servers", [1, 16])
def test_no_session_takes_more_memory_than_is_counted_whatever_its_client_declared(
    capabilities: dict[str, Any], servers: int
) -> None:
    gateway = Gateway(most_bytes=16 << 20)
    client = ClientDeclaration.read({"capabilities": capabilities, "clientInfo": {"name": "an agent"}})
    found = {bytes([number]) * 8: session(f"session-{number}") for number in range(servers)}
    vectors = [SessionVector(new_key(), "2025-11-25", client, found) for _ in range(100)]
    ids = [seal_vector(gateway.sealer, each, proxy_uid="uid", principal="me") for each in vectors]
    tracemalloc.start()
    try:
        for sealed in ids:
            assert gateway.opened(sealed) is not None
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(gateway.sessions) == len(ids)
    assert taken + sum(map(len, ids)) <= gateway.sessions.held
