"""Session ids: only a sealed id is valid, only at its proxy and for its caller."""

import base64
from typing import Final

from hypothesis import assume, example, given
from hypothesis import strategies as st

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.opened_sessions import OpenedSessions
from ostiary_gateway.seal import Sealer
from ostiary_gateway.session_ids import UpstreamSession, seal_session

NOW: Final = 1_800_000_000.0
KEYS: Final = {0: bytes(range(32)), int(NOW) - 5: bytes(range(32, 64))}
SEALER: Final = Sealer(lambda: KEYS, clock=lambda: NOW)
#: It keeps what earlier examples opened: no kept session may change what another id means.
OPENED: Final = OpenedSessions(SEALER)
REVISIONS: Final = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]

anything = st.text(max_size=40) | st.text(alphabet=st.characters(), max_size=8)
visible = st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], min_size=1, max_size=60)
sessions = st.builds(UpstreamSession, visible, st.sampled_from(REVISIONS))
sealed_ids = st.builds(lambda session: seal_session(SEALER, session, proxy_uid="uid", principal="me"), sessions)


def opened(sealed: str, *, proxy_uid: str = "uid", principal: str = "me") -> UpstreamSession | None:
    return OPENED.open(sealed, proxy_uid=proxy_uid, principal=principal, max_age=3600.0)


@given(anything, anything, visible, st.sampled_from(REVISIONS))
def test_a_sealed_id_opens_for_its_caller_at_its_proxy(uid: str, principal: str, upstream: str, revision: str) -> None:
    assume(not any("\ud800" <= c <= "\udfff" for c in uid + principal))  # no uid and no principal holds half a pair
    session = UpstreamSession(upstream, revision)

    sealed = seal_session(SEALER, session, proxy_uid=uid, principal=principal)

    assert opened(sealed, proxy_uid=uid, principal=principal) == session
    assert opened(sealed) is None or (uid, principal) == ("uid", "me")
    for other in [(uid + principal, ""), ("", uid + principal), (principal, uid), (f"{uid}\n{principal}", principal)]:
        assert other == (uid, principal) or opened(sealed, proxy_uid=other[0], principal=other[1]) is None


@given(anything)
def test_no_upstream_makes_a_session_of_what_is_no_id(text: str) -> None:
    try:
        sealed = seal_session(SEALER, UpstreamSession(text, REVISIONS[0]), proxy_uid="uid", principal="me")
    except UpstreamFault:
        assert not text or any(not "\x21" <= c <= "\x7e" for c in text)
        return
    assert opened(sealed) == UpstreamSession(text, REVISIONS[0])


garbage = st.one_of(
    anything,
    st.binary(max_size=90).map(lambda raw: "1." + base64.urlsafe_b64encode(raw).decode().rstrip("=")),
    st.binary(max_size=90).map(lambda raw: "1." + base64.b64encode(raw).decode()),
    st.binary(min_size=38, max_size=90).map(
        lambda raw: (
            "1." + base64.urlsafe_b64encode(b"\x00\x00\x00\x00" + raw).decode().rstrip("=")
        )  # a key that is there
    ),
    st.text(alphabet="1.AQgw-_=", max_size=80).map("1.".__add__),
)


@given(garbage)
@example("1.")
@example("1." + "A" * 5000)
def test_nothing_that_was_not_sealed_opens(text: str) -> None:
    assert opened(text) is None


@given(sealed_ids, st.data())
def test_nothing_that_was_changed_opens(sealed: str, data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(sealed[2:] + "=" * (-(len(sealed) - 2) % 4)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    assert opened(sealed) is not None  # and is kept
    changed = "1." + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    assert changed == sealed or opened(changed) is None


@given(sealed_ids, sealed_ids, st.integers(0, 200))
def test_two_ids_cannot_be_made_into_a_third(one: str, other: str, place: int) -> None:
    joined = one[:place] + other[place:]

    assert joined in (one, other) or opened(joined) is None
    assert opened(one + other) is None
    assert opened(one + other[2:]) is None


@given(sealed_ids, st.data())
def test_an_id_has_one_spelling(sealed: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(sealed)))
    spelt = data.draw(
        st.sampled_from(
            [
                sealed[:place]
                + data.draw(st.sampled_from(["=", " ", "\n", "\r\n", "\x00", "\udc80", "A", "."]))
                + sealed[place:],
                sealed.replace("-", "+").replace("_", "/"),
                sealed + "=" * (-(len(sealed) - 2) % 4),
                sealed.swapcase(),
                sealed.translate({0x41: 0xFF21}),  # a full-width A
            ]
        )
    )

    assert spelt == sealed or opened(spelt) is None
