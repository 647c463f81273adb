"""Any replica opens a sealed session, but only for its own caller and proxy."""

import base64
import os
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.opened_sessions import OpenedSessions
from ostiary_gateway.seal import SESSION as SESSION_PURPOSE
from ostiary_gateway.seal import Sealer
from ostiary_gateway.session_ids import UpstreamSession, seal_session

NOW = 1_800_000_000.0
KEY = bytes(range(32))
SESSION = UpstreamSession("abc-123", "2025-11-25")
HOUR = 3600.0


def sealer(keys: Mapping[int, bytes] | None = None, *, now: float = NOW) -> Sealer:
    keys_in_use = {0: KEY} if keys is None else keys
    return Sealer(lambda: keys_in_use, clock=lambda: now)


def seal(by: Sealer, session: UpstreamSession = SESSION) -> str:
    return seal_session(by, session, proxy_uid="uid-1", principal="anonymous")


def opened(
    by: Sealer, sealed: str, *, proxy_uid: str = "uid-1", principal: str = "anonymous"
) -> UpstreamSession | None:
    return OpenedSessions(by).open(sealed, proxy_uid=proxy_uid, principal=principal, max_age=HOUR)


@given(
    st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], min_size=1, max_size=4096),
    st.sampled_from(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]),
)
def test_another_replica_opens_what_one_sealed(upstream_id: str, revision: str) -> None:
    session = UpstreamSession(upstream_id, revision)
    sealed = seal(sealer(), session)

    assert opened(sealer(), sealed) == session
    assert all(0x21 <= ord(character) <= 0x7E for character in sealed)
    assert len(sealed) <= 5632


def test_two_seals_of_one_session_differ() -> None:
    assert seal(sealer()) != seal(sealer())


def test_an_id_is_valid_at_no_other_proxy_and_for_no_other_caller() -> None:
    sealed = seal(sealer())

    assert opened(sealer(), sealed, proxy_uid="uid-2") is None
    assert opened(sealer(), sealed, principal="another") is None


def test_uid_and_principal_cannot_be_shifted_into_one_another() -> None:
    sealed = seal_session(sealer(), SESSION, proxy_uid="a", principal="b\nc")

    assert opened(sealer(), sealed, proxy_uid="a\nb", principal="c") is None


def test_every_altered_character_closes_it() -> None:
    sealed = seal(sealer())
    for place, character in enumerate(sealed):
        for other in "A_-b=+/.":
            if other != character:
                assert opened(sealer(), sealed[:place] + other + sealed[place + 1 :]) is None


@given(
    st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda b: "1." + base64.urlsafe_b64encode(b).decode()))
)
def test_garbage_is_no_session_and_no_accident(garbage: str) -> None:
    assert opened(sealer(), garbage) is None


def test_something_huge_is_refused_before_it_is_decoded() -> None:
    assert opened(sealer(), "1." + "A" * 10_000_000) is None


def test_bytes_that_are_no_text_are_no_session() -> None:
    assert opened(sealer(), "1.\udcff\udcfe") is None


def test_an_id_expires() -> None:
    sealed = seal(sealer())

    assert opened(sealer(now=NOW + HOUR), sealed) == SESSION
    assert opened(sealer(now=NOW + HOUR + 2), sealed) is None


def test_a_replica_whose_clock_is_late_opens_a_session_too() -> None:
    assert opened(sealer(now=NOW - 60), seal(sealer())) == SESSION


def test_rotation_does_not_end_sessions_but_taking_the_key_back_does() -> None:
    sealed = seal(sealer({100: KEY}))
    newer = os.urandom(32)

    assert opened(sealer({100: KEY, 200: newer}), sealed) == SESSION
    assert opened(sealer({200: newer}), sealed) is None
    assert opened(sealer({100: newer}), sealed) is None


def test_the_newest_key_whose_moment_has_come_seals() -> None:
    old, new, next_one = os.urandom(32), os.urandom(32), os.urandom(32)
    now = int(NOW)
    keys = {now - 100: old, now - 10: new, now + 10: next_one}
    sealed = seal(sealer(keys))

    assert opened(sealer({now - 10: new}), sealed) == SESSION
    assert opened(sealer({now - 100: old, now + 10: next_one}), sealed) is None


def test_a_key_that_is_not_active_yet_opens_what_a_faster_clock_sealed() -> None:
    keys = {int(NOW) + 10: KEY}

    assert opened(sealer(keys), seal(sealer(keys, now=NOW + 11))) == SESSION


@pytest.mark.parametrize("keys", [{}, {int(NOW) + 1: KEY}])
def test_without_an_active_key_the_gateway_is_not_ready_for_sessions(keys: dict[int, bytes]) -> None:
    with pytest.raises(Refusal) as refused:
        seal(sealer(keys))

    assert (refused.value.status, refused.value.reason) == (503, "NotReady")


@pytest.mark.parametrize("upstream_id", ["", "a b", "tab\t", "é", "\udcff", "x" * 4097, "line\n"])
def test_an_upstream_id_that_is_none_is_the_upstreams_fault(upstream_id: str) -> None:
    with pytest.raises(UpstreamFault) as fault:
        seal(sealer(), UpstreamSession(upstream_id, "2025-11-25"))

    assert fault.value.kind == "UpstreamInvalidAnswer"


def test_an_id_that_a_newer_replica_sealed_at_a_revision_of_its_own_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
    monkeypatch.setattr("ostiary_gateway.session_ids._REVISIONS", (*known, "2030-01-01"))
    sealed = seal(sealer(), UpstreamSession("abc", "2030-01-01"))
    monkeypatch.undo()

    assert opened(sealer(), sealed) is None


def test_an_id_of_the_first_version_still_opens() -> None:
    of_version_one = "1.AAAAADtiVl0pW27YMzpGwmzGa9nEkc-vVGLGq6cH2-eMNP6gyze6SqnXnzE"

    assert opened(sealer(), of_version_one) == SESSION


@given(
    st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], min_size=1, max_size=4096),
    st.sampled_from(["2024-11-05", "2025-11-25"]),
    st.binary(min_size=8, max_size=8),
)
def test_another_replica_finds_the_endpoint_of_a_session(upstream_id: str, revision: str, endpoint: bytes) -> None:
    session = UpstreamSession(upstream_id, revision, endpoint=endpoint)
    sealed = seal(sealer(), session)

    assert opened(sealer(), sealed) == session
    assert len(sealed) <= 5632


def test_an_id_without_an_endpoint_has_the_bytes_that_it_always_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", bytes)

    assert seal(sealer()) == "1.AAAAAAAAAAAAAAAAAAAAAGX1Z962TeHeJZmbBoppHqUYE7aBGofNuvPO_Hs"


def test_a_replica_that_knows_no_endpoints_takes_an_id_with_one_for_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal(sealer(), UpstreamSession("abc", "2025-11-25", endpoint=bytes(8)))
    monkeypatch.setattr("ostiary_gateway.session_ids._AT_ENDPOINT", 0)  # as it was before

    assert opened(sealer(), sealed) is None


@given(st.text("ab", max_size=12))
def test_a_flag_without_an_endpoint_and_an_id_is_no_session(rest: str) -> None:
    content = b"\x83" + rest.encode()
    sealed = sealer().seal(SESSION_PURPOSE, content, proxy_uid="uid-1", principal="anonymous")

    assert (opened(sealer(), sealed) is None) == (len(rest) <= 8)
