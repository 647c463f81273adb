"""A sealed text opens only for its purpose, at its proxy, for its principal, while its key and its time last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway import seal
from ostiary_gateway.errors import Refusal
from ostiary_gateway.seal import Purpose, Sealer

NOW = 1_800_000_000.0
KEY = bytes(range(32))
HOUR = 3600.0
PURPOSES = [seal.SESSION, seal.SESSION_VECTOR, seal.CURSOR, seal.REQUEST_STATE, seal.TASK, seal.HOP]
purposes = st.sampled_from(PURPOSES)


def sealer(*, now: float = NOW, keys: dict[int, bytes] | None = None) -> Sealer:
    return Sealer(lambda: {0: KEY} if keys is None else keys, clock=lambda: now)


def sealed(purpose: Purpose, content: bytes = b"content", *, by: Sealer | None = None) -> str:
    return (by or sealer()).seal(purpose, content, proxy_uid="uid", principal="me")


def opened(purpose: Purpose, text: str, *, uid: str = "uid", principal: str = "me", now: float = NOW) -> bytes | None:
    return sealer(now=now).open(purpose, text, proxy_uid=uid, principal=principal, max_age=HOUR)


@given(purposes, st.binary(max_size=300))
def test_another_replica_opens_what_one_sealed(purpose: Purpose, content: bytes) -> None:
    text = sealed(purpose, content)

    assert opened(purpose, text) == content
    assert all("\x21" <= character <= "\x7e" for character in text)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_text_opens_for_its_own_proxy_and_principal_only(purpose: Purpose) -> None:
    text = sealed(purpose)

    assert opened(purpose, text, uid="other") is None
    assert opened(purpose, text, principal="other") is None
    assert opened(purpose, text, uid="ui", principal="d\nme") is None


@given(purposes, purposes)
def test_a_text_of_one_purpose_is_nothing_for_another(purpose: Purpose, other: Purpose) -> None:
    text = other.prefix + sealed(purpose).removeprefix(purpose.prefix)

    assert purpose is other or opened(other, text) is None


def test_purposes_share_neither_prefix_nor_label() -> None:
    assert (
        len({purpose.prefix for purpose in PURPOSES}) == len({purpose.label for purpose in PURPOSES}) == len(PURPOSES)
    )


@given(purposes, st.binary(max_size=40), st.data())
def test_no_altered_text_opens(purpose: Purpose, content: bytes, data: st.DataObject) -> None:
    text = sealed(purpose, content)
    place = data.draw(st.integers(0, len(text) - 1))
    altered = text[:place] + data.draw(st.text(max_size=2)) + text[place + 1 :]

    assert altered == text or opened(purpose, altered) is None


@pytest.mark.parametrize("purpose", [each for each in PURPOSES if not each.stable])
def test_a_text_expires_and_no_two_are_alike(purpose: Purpose) -> None:
    text = sealed(purpose)

    assert opened(purpose, text, now=NOW + HOUR) == b"content"
    assert opened(purpose, text, now=NOW + HOUR + 2) is None
    assert text != sealed(purpose)


def test_a_stable_text_is_the_same_as_long_as_its_key_is_the_newest() -> None:
    text = sealed(seal.TASK, b"7")

    assert text == sealed(seal.TASK, b"7", by=sealer(now=NOW + 1000 * HOUR))
    assert opened(seal.TASK, text, now=NOW + 1000 * HOUR) == b"7"
    assert text != sealed(seal.TASK, b"8")
    assert text != sealed(seal.TASK, b"7", by=sealer(keys={0: bytes(32)}))


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_two_stable_texts_share_no_nonce(one: bytes, other: bytes) -> None:
    nonces = {sealed(seal.TASK, content)[: len("t1.") + 21] for content in (one, other)}

    assert len(nonces) == len({one, other})


@pytest.mark.parametrize("purpose", PURPOSES)
def test_something_longer_than_its_purpose_allows_is_refused_before_it_is_decoded(purpose: Purpose) -> None:
    assert opened(purpose, purpose.prefix + "A" * purpose.longest) is None


@given(purposes, st.text(max_size=200))
def test_garbage_opens_nothing(purpose: Purpose, garbage: str) -> None:
    assert opened(purpose, purpose.prefix + garbage) is None


@pytest.mark.parametrize("keys", [{}, {int(NOW) + 1: KEY}])
def test_without_an_active_key_nothing_is_sealed(keys: dict[int, bytes]) -> None:
    with pytest.raises(Refusal, match="no key"):
        sealed(seal.CURSOR, by=sealer(keys=keys))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_was_opened_once_is_judged_again_each_time(purpose: Purpose) -> None:
    clock, keys = [NOW], {0: KEY}
    one = Sealer(lambda: keys, clock=lambda: clock[0])
    text = sealed(purpose)

    def found(principal: str = "me") -> bytes | None:
        return one.open(purpose, text, proxy_uid="uid", principal=principal, max_age=HOUR)

    assert (found(), found(), found("other"), found()) == (b"content", b"content", None, b"content")
    clock[0] += HOUR + 2
    assert found() == (b"content" if purpose.stable else None)
    clock[0] = NOW
    keys[0] = bytes(32)
    assert found() is None
    keys.clear()
    assert found() is None
